//! stub
use serde::{Deserialize, Serialize};
/// k
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// i
    Intensity,
    /// l
    Label,
}
