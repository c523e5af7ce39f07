//! On what was measured.

use std::fs;

use serde::Serialize;

#[derive(Serialize)]
pub struct Machine {
    /// The processor by its name, or only its architecture.
    pub cpu: String,
    /// Processors that this process may use.
    pub processors: usize,
    pub system: &'static str,
}

impl Machine {
    pub fn here() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model(&text));
        Self {
            cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            system: std::env::consts::OS,
        }
    }
}

/// The model name of the first processor.
fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let words: Vec<&str> = line.split_once(':')?.1.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_that_of_the_first_processor() {
        let text = "processor\t: 0\nmodel name\t: A  CPU @ 2 GHz\nmodel name\t: other\n";
        assert_eq!(model(text).as_deref(), Some("A CPU @ 2 GHz"));
        assert_eq!((model("model name\t:\n"), model("processor: 0")), (None, None));
    }
}
