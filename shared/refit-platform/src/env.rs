//! What a process is given by its surroundings: environment variables and randomness.

use std::fmt::Write as _;

/// The environment variable of this name; `None` if it is not set, empty, or not text.
#[must_use]
pub fn var(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    let value = std::env::var(name);
    value.ok().filter(|value| !value.is_empty())
}

/// The region of AWS, by the variables that Amazon's own programs know.
#[must_use]
pub fn aws_region() -> Option<String> {
    ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(var)
}

/// Where a service of AWS is, such as `s3`, if not where Amazon has it, by the variables that Amazon's own programs know.
#[must_use]
pub fn aws_endpoint(service: &str) -> Option<String> {
    let own = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
    [own.as_str(), "AWS_ENDPOINT_URL"].into_iter().find_map(var)
}

/// 128 random bits as 32 hexadecimal digits: a name no other process has.
///
/// # Panics
/// If the system has no randomness to give.
#[must_use]
pub fn nonce() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("a running system gives random bytes");
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_32_digits_and_never_the_same() {
        let nonce = nonce();
        assert!(nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()), "{nonce}");
        assert_ne!(nonce, super::nonce());
    }

    #[test]
    fn a_variable_that_is_not_set_is_none() {
        assert!(var("PATH").is_some());
        assert_eq!(var("REFIT_NO_SUCH_VARIABLE"), None);
    }
}
