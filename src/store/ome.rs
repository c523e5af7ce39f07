//! OME-Zarr 0.5 metadata of an image, for other readers.
//!
//! OME-Zarr 0.5 supports only scale and translation, so the exact affine is in our own attribute.
//! The metadata holds the closest equivalent along the voxel axes: `scale` is the spacing, and each
//! space axis has an anatomical `orientation` (RFC-4) that gives its direction. The `translation`
//! of an axis is the world coordinate of voxel 0 along that direction: for an axis that runs
//! `left-to-right` it is the RAS x of voxel 0, for `right-to-left` its negative. Readers that
//! ignore the orientation see a consistent coordinate system of their own.

use serde_json::{Value, json};

use crate::{Affine, Spacing};

/// The input of the metadata.
pub(super) struct Image<'a> {
    pub(super) name: &'a str,
    /// Path from the image's group to its array.
    pub(super) array: String,
    pub(super) has_time: bool,
    pub(super) has_channel: bool,
    pub(super) affine: &'a Affine,
    pub(super) spacing: Spacing,
    pub(super) time_step: Option<f64>,
    pub(super) is_label: bool,
    /// For a label map, the path from its group to the image that it belongs to.
    pub(super) label_of: Option<String>,
}

impl Image<'_> {
    /// Axis names in storage order, also the array's `dimension_names`.
    pub(super) fn dimension_names(&self) -> Vec<&'static str> {
        let leading = [(self.has_time, "t"), (self.has_channel, "c")];
        let leading = leading.into_iter().filter_map(|(there, name)| there.then_some(name));
        leading.chain(["z", "y", "x"]).collect()
    }

    /// The value of the `ome` attribute of the group.
    pub(super) fn attribute(&self) -> Value {
        let (mut axes, mut scale, mut translation) = (Vec::new(), Vec::new(), Vec::new());
        if self.has_time {
            let mut axis = json!({"name": "t", "type": "time"});
            if self.time_step.is_some() {
                axis["unit"] = json!("second");
            }
            axes.push(axis);
            scale.push(self.time_step.unwrap_or(1.0));
            translation.push(0.0);
        }
        if self.has_channel {
            axes.push(json!({"name": "c", "type": "channel"}));
            scale.push(1.0);
            translation.push(0.0);
        }
        let space = ["z", "y", "x"].into_iter().zip(self.affine.orientation());
        for ((name, (world, positive)), mm) in space.zip(self.spacing.mm()) {
            axes.push(json!({
                "name": name, "type": "space", "unit": "millimeter",
                "orientation": {"type": "anatomical", "value": direction(world, positive)},
            }));
            scale.push(mm);
            let origin = self.affine.0[world][3];
            translation.push(if positive { origin } else { -origin });
        }
        let mut ome = json!({
            "version": "0.5",
            "multiscales": [{
                "name": self.name,
                "axes": axes,
                "datasets": [{
                    "path": self.array,
                    "coordinateTransformations": [
                        {"type": "scale", "scale": scale},
                        {"type": "translation", "translation": translation},
                    ],
                }],
            }],
        });
        if self.is_label {
            ome["image-label"] = match &self.label_of {
                Some(image) => json!({"source": {"image": image}}),
                None => json!({}),
            };
        }
        ome
    }
}

fn direction(world: usize, positive: bool) -> &'static str {
    match (world, positive) {
        (0, true) => "left-to-right",
        (0, false) => "right-to-left",
        (1, true) => "posterior-to-anterior",
        (1, false) => "anterior-to-posterior",
        (_, true) => "inferior-to-superior",
        (_, false) => "superior-to-inferior",
    }
}
