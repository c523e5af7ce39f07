//! The numbers of a header that are worth keeping with the voxels, as JSON. No text of the file.

use serde_json::{Map, Value, json};

use super::fields::{ByteOrder, Fields};
use super::geometry;
use crate::Affine;

/// Values as they stand in the header, in its own units; numbers that are not finite are null,
/// as is a qform that makes no sense.
pub(super) fn record(fields: &Fields, shape: [usize; 3]) -> Map<String, Value> {
    let order = match fields.order {
        ByteOrder::Little => "little",
        ByteOrder::Big => "big",
    };
    let qform = geometry::qform(fields, shape, &mut Vec::new());
    let [intent_p1, intent_p2, intent_p3] = fields.intent_p;
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    put("byte_order", order.into());
    put("dim", json!(fields.dim));
    put("pixdim", json!(fields.pixdim));
    put("datatype", fields.datatype.into());
    put("bitpix", fields.bitpix.into());
    put("xyzt_units", fields.xyzt_units.into());
    put("qform_code", fields.qform_code.into());
    put("sform_code", fields.sform_code.into());
    put("qform", qform.map_or(Value::Null, matrix));
    put("sform", matrix(geometry::sform(fields)));
    put("scl_slope", fields.scl_slope.into());
    put("scl_inter", fields.scl_inter.into());
    put("cal_min", fields.cal_min.into());
    put("cal_max", fields.cal_max.into());
    put("slice_code", fields.slice_code.into());
    put("slice_start", fields.slice_start.into());
    put("slice_end", fields.slice_end.into());
    put("slice_duration", fields.slice_duration.into());
    put("toffset", fields.toffset.into());
    put("intent_code", fields.intent_code.into());
    put("intent_p1", intent_p1.into());
    put("intent_p2", intent_p2.into());
    put("intent_p3", intent_p3.into());
    put("dim_info", fields.dim_info.into());
    map
}

/// Row-major, 4 x 4.
fn matrix(affine: Affine) -> Value {
    json!(affine.0)
}
