//! Workloads: patch shapes with weights, and the starts of the patches.
//!
//! Shapes are `z, y, x` everywhere. The spacing of a volume turns millimetres into voxels, so one
//! workload fits volumes of different resolution.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::show;
use crate::{Error, Result, Spacing};

/// Edge of the default patch, in voxels of the geometric mean of the spacing.
const DEFAULT_EDGE: f64 = 96.0;

/// The size of a patch, `z, y, x`. A single slice is a patch too: `1x512x512`.
///
/// Written `ZxYxX` or `z=Z,y=Y,x=X` (any order), in whole voxels, or with `mm` behind it in
/// millimetres: `32x192x192`, `64x64x64mm`, `z=80.5,y=64,x=64mm`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PatchShape {
    /// Voxels, `z, y, x`.
    Voxels([usize; 3]),
    /// Millimetres, `z, y, x`.
    Millimetres([f64; 3]),
}

impl PatchShape {
    /// The shape in voxels, `z, y, x`: millimetres divided by the spacing and rounded to nearest,
    /// never less than one voxel.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn in_voxels(&self, spacing: Spacing) -> [usize; 3] {
        match self {
            Self::Voxels(shape) => *shape,
            // The cast saturates, as needed for a patch larger than any volume.
            Self::Millimetres(mm) => {
                std::array::from_fn(|a| (mm[a] / spacing.mm()[a]).round().max(1.0) as usize)
            }
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::Voxels(shape) => !shape.contains(&0),
            Self::Millimetres(mm) => mm.iter().all(|v| v.is_finite() && *v > 0.0),
        }
    }
}

impl fmt::Display for PatchShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voxels(shape) => f.write_str(&show(shape)),
            Self::Millimetres([z, y, x]) => write!(f, "{z}x{y}x{x}mm"),
        }
    }
}

impl FromStr for PatchShape {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let refuse = || {
            Error::invalid(
                "patch",
                s,
                "expected ZxYxX or z=Z,y=Y,x=X in whole voxels of at least 1, such as 32x192x192, \
                 or the same in millimetres followed by mm, such as 80.5x64x64mm",
            )
        };
        let texts = axis_texts(s).ok_or_else(refuse)?;
        let shape = if s.ends_with("mm") {
            let mm = texts.map(|t| t.strip_suffix("mm").unwrap_or(t).parse().unwrap_or(f64::NAN));
            Self::Millimetres(mm)
        } else {
            Self::Voxels(texts.map(|t| t.parse().unwrap_or(0)))
        };
        if shape.is_valid() { Ok(shape) } else { Err(refuse()) }
    }
}

/// The values of the three axes in `z, y, x` order; `None` if one is missing or given twice.
fn axis_texts(s: &str) -> Option<[&str; 3]> {
    if !s.contains('=') {
        return s.split('x').collect::<Vec<_>>().try_into().ok();
    }
    let mut texts = [None; 3];
    for part in s.split(',') {
        let (name, text) = part.split_once('=')?;
        let axis = ["z", "y", "x"].iter().position(|axis| *axis == name.trim())?;
        if texts[axis].replace(text.trim()).is_some() {
            return None;
        }
    }
    Some([texts[0]?, texts[1]?, texts[2]?])
}

/// A patch shape and how often it is read, relative to the others of its [`Workload`].
///
/// Written as its shape, or as `SHAPE:WEIGHT`: `32x192x192:3`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WeightedPatch {
    shape: PatchShape,
    weight: f64,
}

impl WeightedPatch {
    /// # Errors
    /// [`Error::InvalidArgument`] if an axis or the weight is not positive and finite.
    pub fn new(shape: PatchShape, weight: f64) -> Result<Self> {
        if !shape.is_valid() {
            return Err(Error::invalid("patch", shape, "every axis must be positive and finite"));
        }
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Error::invalid("weight", weight, "must be positive and finite"));
        }
        Ok(Self { shape, weight })
    }

    /// The shape of the patch.
    #[must_use]
    pub const fn shape(&self) -> PatchShape {
        self.shape
    }

    /// How often the patch is read, relative to the other patches of the workload.
    #[must_use]
    pub const fn weight(&self) -> f64 {
        self.weight
    }
}

impl fmt::Display for WeightedPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, weight } = self;
        #[allow(clippy::float_cmp)]
        if *weight == 1.0 { write!(f, "{shape}") } else { write!(f, "{shape}:{weight}") }
    }
}

impl FromStr for WeightedPatch {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let (shape, weight) = match s.split_once(':') {
            None => (s, 1.0),
            Some((shape, weight)) => {
                let weight = weight.parse().map_err(|_| {
                    Error::invalid("patch", s, "the weight behind : must be a number, such as 2.5")
                })?;
                (shape, weight)
            }
        };
        Self::new(shape.parse()?, weight)
    }
}

impl TryFrom<String> for WeightedPatch {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<WeightedPatch> for String {
    fn from(patch: WeightedPatch) -> Self {
        patch.to_string()
    }
}

/// The starts of patches in a volume of `S` voxels along an axis, for a patch of `P <= S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Every start from 0 to `S - P` is equally likely, on each axis independently.
    Random,
    /// Starts `0, P - O, 2(P - O), ...`; the last start is `S - P` if they do not end there, as in
    /// the grid sampler of `TorchIO`.
    Grid {
        /// Voxels `O` shared by neighbouring patches, `z, y, x`; less than the patch.
        overlap: [usize; 3],
    },
}

/// The reads to expect from a volume: at least one patch shape, and the starts of the patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawWorkload")]
pub struct Workload {
    patches: Vec<WeightedPatch>,
    access: Access,
}

#[derive(Deserialize)]
struct RawWorkload {
    patches: Vec<WeightedPatch>,
    access: Access,
}

impl TryFrom<RawWorkload> for Workload {
    type Error = Error;
    fn try_from(raw: RawWorkload) -> Result<Self> {
        Self::new(raw.patches, raw.access)
    }
}

impl Workload {
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no patch, or if a grid's overlap is not less than a
    /// patch given in voxels. Patches in millimetres are checked once their spacing is known.
    pub fn new(patches: Vec<WeightedPatch>, access: Access) -> Result<Self> {
        if patches.is_empty() {
            return Err(Error::invalid("workload", "", "needs at least one patch shape"));
        }
        let workload = Self { patches, access };
        for patch in &workload.patches {
            if let PatchShape::Voxels(shape) = patch.shape {
                workload.check_overlap(shape)?;
            }
        }
        Ok(workload)
    }

    /// The default workload: random patches, each the cube in millimetres that holds about as many
    /// voxels as 96 x 96 x 96. With equal spacing on all axes it is exactly that; thick slices give
    /// patches of fewer slices, as in training on such scans.
    #[must_use]
    pub fn default_for(spacing: Spacing) -> Self {
        // The mean of logarithms, because a product of three spacings could leave the range of f64.
        let mean = spacing.mm().iter().map(|mm| mm.ln()).sum::<f64>() / 3.0;
        let edge = DEFAULT_EDGE * mean.exp().clamp(f64::MIN_POSITIVE, 1e300);
        let shape = PatchShape::Millimetres([edge; 3]);
        Self { patches: vec![WeightedPatch { shape, weight: 1.0 }], access: Access::Random }
    }

    /// The patch shapes with their weights.
    #[must_use]
    pub fn patches(&self) -> &[WeightedPatch] {
        &self.patches
    }

    /// The starts of the patches.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// The patch shapes in voxels, `z, y, x`, for a volume of this spacing, in order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a grid's overlap is not less than one of them.
    pub fn in_voxels(&self, spacing: Spacing) -> Result<Vec<[usize; 3]>> {
        let shapes = self.patches.iter().map(|p| p.shape.in_voxels(spacing));
        shapes.map(|shape| self.check_overlap(shape).map(|()| shape)).collect()
    }

    fn check_overlap(&self, shape: [usize; 3]) -> Result<()> {
        match self.access {
            Access::Grid { overlap } if (0..3).any(|a| overlap[a] >= shape[a]) => {
                let reason = format!("must be less than the patch {} on every axis", show(&shape));
                Err(Error::invalid("overlap", show(&overlap), reason))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(s: &str) -> WeightedPatch {
        s.parse().unwrap_or_else(|e| panic!("{s}: {e}"))
    }

    #[test]
    fn every_way_to_write_a_patch_is_understood() {
        let voxels = PatchShape::Voxels([32, 192, 160]);
        assert_eq!(parsed("32x192x160"), WeightedPatch::new(voxels, 1.0).unwrap());
        assert_eq!(parsed("x=160,z=32,y=192:2.5"), WeightedPatch::new(voxels, 2.5).unwrap());
        let mm = PatchShape::Millimetres([80.5, 64.0, 64.0]);
        assert_eq!(parsed("80.5x64x64mm:3"), WeightedPatch::new(mm, 3.0).unwrap());
        assert_eq!(parsed("z=80.5mm, y=64mm, x=64mm").shape(), mm);
        for text in ["1x512x512", "32x192x160:0.25", "80.5x64x64mm", "80.5x64x64mm:3"] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_a_patch_is_refused_with_an_example() {
        for text in [
            "",
            "96",
            "96x96",
            "96x96x96x96",
            "0x96x96",
            "-1x96x96",
            "9.5x96x96",
            "0x1x1mm",
            "infx1x1mm",
            "z=1,y=2",
            "z=1,z=2,y=3,x=4",
            "z=1,y=2,w=3",
            "axbxc",
            "mm",
        ] {
            let error = text.parse::<WeightedPatch>().expect_err(text).to_string();
            assert!(error.contains("32x192x192"), "{error}");
        }
        for text in ["96x96x96:", "96x96x96:0", "96x96x96:-1", "96x96x96:nan", "96x96x96:a"] {
            let error = text.parse::<WeightedPatch>().expect_err(text).to_string();
            assert!(error.contains("weight"), "{error}");
        }
    }

    #[test]
    fn millimetres_become_anisotropic_voxels_of_at_least_one() {
        let spacing = Spacing::new([5.0, 0.5, 0.7]).expect("valid");
        let shape = PatchShape::Millimetres([96.0, 96.0, 96.0]);
        assert_eq!(shape.in_voxels(spacing), [19, 192, 137]);
        assert_eq!(PatchShape::Millimetres([1.0; 3]).in_voxels(spacing), [1, 2, 1]);
    }

    #[test]
    fn the_default_patch_holds_about_as_many_voxels_as_a_cube_of_96() {
        for mm in [[1.0; 3], [0.3; 3]] {
            let spacing = Spacing::new(mm).expect("valid");
            let shapes = Workload::default_for(spacing).in_voxels(spacing).expect("valid");
            assert_eq!(shapes, [[96; 3]]);
        }
        for mm in [[5.0, 0.7, 0.7], [1e-300, 1e300, 1.0]] {
            let spacing = Spacing::new(mm).expect("valid");
            Workload::default_for(spacing).in_voxels(spacing).expect("valid");
        }
        let thick = Spacing::new([5.0, 0.7, 0.7]).expect("valid");
        let shape = Workload::default_for(thick).in_voxels(thick).expect("valid")[0];
        let voxels = shape.iter().product::<usize>();
        assert!(shape[0] < 40 && voxels.abs_diff(96 * 96 * 96) < 96 * 96 * 4, "{shape:?}");
    }

    #[test]
    fn a_workload_survives_json_and_is_checked_on_the_way_in() {
        let patches = vec![parsed("1x512x512:2"), parsed("64x64x64mm")];
        let workload = Workload::new(patches, Access::Random).unwrap();
        let text = serde_json::to_string(&workload).unwrap();
        assert_eq!(serde_json::from_str::<Workload>(&text).unwrap(), workload);

        let grid = r#"{"patches":["8x8x8"],"access":{"grid":{"overlap":[4,4,8]}}}"#;
        let error = serde_json::from_str::<Workload>(grid).expect_err("overlap").to_string();
        assert!(error.contains("less than the patch"), "{error}");
        assert!(Workload::new(vec![], Access::Random).is_err());
    }

    #[test]
    fn an_overlap_is_checked_against_millimetres_once_the_spacing_is_known() {
        let access = Access::Grid { overlap: [10, 10, 10] };
        let workload = Workload::new(vec![parsed("20x20x20mm")], access).unwrap();
        assert!(workload.in_voxels(Spacing::new([1.0; 3]).unwrap()).is_ok());
        assert!(workload.in_voxels(Spacing::new([2.0, 1.0, 1.0]).unwrap()).is_err());
    }
}
