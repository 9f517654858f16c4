//! The files of the example, for programs that bring them along.

/// The pipeline.
pub const PIPELINE: &str = include_str!("../pipeline.yaml");
/// The rule file.
pub const RULES: &str = include_str!("../refit.yaml");

macro_rules! parts {
    ($($name:literal)*) => {
        /// The data, by name.
        pub const PARTS: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../data/", $name)).as_slice())),*];
    };
}

parts!("part-1.csv" "part-2.csv" "part-3.csv" "part-4.csv" "part-5.csv" "part-6.csv" "part-7.csv" "part-8.csv");
