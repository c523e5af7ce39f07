//! The numbers of a header that are kept with the voxels, as JSON, and back. Never text.

use serde_json::{Map, Value, json};

use super::describe::{self, INTENT_LABEL};
use super::fields::Fields;
use super::geometry;
use crate::Affine;
use crate::scan::bytes::ByteOrder;

/// Values in the header's own units; numbers that are not finite are null, and so is an impossible
/// qform.
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
    put("quatern", json!(fields.quatern));
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

/// The header that a record was made from, with the sizes, the type and the meaning of `fields`.
/// `None` without the numbers for the position of voxels. The values are not checked.
pub(super) fn restore(record: &Map<String, Value>, mut fields: Fields) -> Option<Fields> {
    let record = Record(record);
    fields.pixdim = record.numbers("pixdim")?;
    fields.xyzt_units = record.integer("xyzt_units", u8::MAX.into())?;
    fields.sform_code = record.code("sform_code")?;
    fields.qform_code = record.code("qform_code")?;
    let [right, front, head, _] = record.matrix("sform")?;
    fields.srow = [right, front, head];
    if let Some(qform) = record.matrix("qform") {
        // Stores of earlier versions have only the matrix.
        let components = || describe::qform(&Affine(qform)).map(|(_, components)| components);
        fields.quatern = record.numbers("quatern").or_else(components).unwrap_or_default();
        fields.qoffset = [qform[0][3], qform[1][3], qform[2][3]];
    } else {
        (fields.qform_code, fields.quatern, fields.qoffset) = (0, [0.0; 3], [0.0; 3]);
    }
    if let (Some(slope), Some(inter)) = (record.number("scl_slope"), record.number("scl_inter")) {
        (fields.scl_slope, fields.scl_inter) = (slope, inter);
    }
    fields.dim[0] = record.axes(&fields.dim).unwrap_or(fields.dim[0]);
    let intent = record.code("intent_code").unwrap_or(0);
    // The record does not decide whether the voxels are labels.
    if fields.intent_code != INTENT_LABEL && intent != INTENT_LABEL {
        fields.intent_code = intent;
        let parameters = ["intent_p1", "intent_p2", "intent_p3"];
        fields.intent_p = parameters.map(|name| record.number(name).unwrap_or(0.0));
    }
    let number = |name| record.number(name).unwrap_or(0.0);
    let integer = |name, most: i64| record.integer(name, most).unwrap_or(0);
    (fields.cal_min, fields.cal_max) = (number("cal_min"), number("cal_max"));
    (fields.slice_duration, fields.toffset) = (number("slice_duration"), number("toffset"));
    fields.slice_code = integer("slice_code", u8::MAX.into());
    fields.slice_start = integer("slice_start", i16::MAX.into());
    fields.slice_end = integer("slice_end", i16::MAX.into());
    fields.dim_info = u8::try_from(integer("dim_info", u8::MAX.into())).unwrap_or(0);
    Some(fields)
}

/// Whether the recorded header has `n` entries in its fourth axis, and none in a fifth.
pub(super) fn has_fourth_axis(record: &Map<String, Value>, n: usize) -> bool {
    let sizes = Record(record).dim().and_then(|dim| Some((dim, i64::try_from(n).ok()?)));
    sizes.is_some_and(|(dim, n)| dim[0] >= 4 && dim[4] == n && (dim[0] == 4 || dim[5] == 1))
}

/// Seconds along the fourth axis, if the recorded header says.
pub(super) fn time_step(record: &Map<String, Value>) -> Option<f64> {
    let record = Record(record);
    let step = record.numbers::<8>("pixdim")?[4];
    let units = record.integer("xyzt_units", u8::MAX.into())?;
    geometry::seconds(step, units).filter(|_| step > 0.0)
}

/// Values by name, if they are of the wanted kind.
struct Record<'a>(&'a Map<String, Value>);

impl Record<'_> {
    fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// A whole number from 0 to `most`.
    fn integer(&self, name: &str, most: i64) -> Option<i64> {
        self.0.get(name)?.as_i64().filter(|n| (0..=most).contains(n))
    }

    fn code(&self, name: &str) -> Option<i64> {
        self.integer(name, i16::MAX.into())
    }

    /// Numbers that were not finite are 0, because both are meaningless here.
    fn numbers<const N: usize>(&self, name: &str) -> Option<[f64; N]> {
        let numbers = <[Value; N]>::try_from(self.0.get(name)?.as_array()?.clone()).ok()?;
        Some(numbers.map(|number| number.as_f64().unwrap_or(0.0)))
    }

    fn matrix(&self, name: &str) -> Option<[[f64; 4]; 4]> {
        let rows: [[Option<f64>; 4]; 4] = serde_json::from_value(self.0.get(name)?.clone()).ok()?;
        Some(rows.map(|row| row.map(|number| number.unwrap_or(0.0))))
    }

    fn dim(&self) -> Option<[i64; 8]> {
        serde_json::from_value(self.0.get("dim")?.clone()).ok()
    }

    /// Number of axes of the source, if the record has these sizes; trailing axes of length 1 may
    /// be missing.
    fn axes(&self, sizes: &[i64; 8]) -> Option<i64> {
        let dim = self.dim()?;
        let axes = usize::try_from(dim[0]).ok().filter(|axes| (1..8).contains(axes))?;
        let same = dim[1..=axes] == sizes[1..=axes] && sizes[axes + 1..].iter().all(|n| *n == 1);
        same.then_some(dim[0])
    }
}

/// Row-major, 4 x 4.
fn matrix(affine: Affine) -> Value {
    json!(affine.0)
}
