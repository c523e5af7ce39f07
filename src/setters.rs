//! Options that callers make field by field: each has a method of its name.

/// Adds to a type a method for each of its public fields, which gives the same value with another
/// one in that field. Callers cannot name all fields of options, of which there may be more in a
/// later version.
macro_rules! setters {
    ($owner:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        impl $owner {
            $(
                #[doc = concat!("With another [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

pub(crate) use setters;
