//! What a build may lack: the parts that take a feature.

/// A part that is built with a feature alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Topics of Pub/Sub.
    Topics,
    /// What AWS is asked for: claims in S3, and secrets in Secrets Manager.
    Aws,
}

impl Part {
    /// Whether this build has it.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            Self::Topics => cfg!(feature = "gcp"),
            Self::Aws => cfg!(feature = "aws"),
        }
    }

    /// The feature it is built with.
    #[must_use]
    pub fn feature(self) -> &'static str {
        match self {
            Self::Topics => "gcp",
            Self::Aws => "aws",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::root_uri;

    #[test]
    fn a_build_has_what_goes_with_the_ledgers_it_opens() {
        for (part, ledger) in [(Part::Topics, "gs://bucket/prod"), (Part::Aws, "s3://bucket/prod")]
        {
            let opened = root_uri(ledger);
            assert_eq!(part.is_built(), opened.is_ok(), "{part:?}: {opened:?}");
            if let Err(error) = opened {
                let cure = format!("--features {}", part.feature());
                assert!(error.to_string().contains(&cure), "{error}");
            }
        }
    }
}
