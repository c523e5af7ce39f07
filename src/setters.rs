//! Methods that set one field of an options type.

/// Adds a method for each public field of a type, which gives the same value with another one in
/// that field. Callers cannot construct options directly, because a later version may have more
/// fields.
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
