//! An enumeration that can list itself.

/// Declares an enumeration of plain members together with `ALL`, which holds each of them in the order of the
/// declaration: a list beside the declaration would forget the next member.
macro_rules! enumeration {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident { $($(#[$member_attribute:meta])* $member:ident,)+ }
    ) => {
        $(#[$attribute])*
        pub enum $name { $($(#[$member_attribute])* $member,)+ }

        impl $name {
            /// Every one, in the order of the declaration.
            pub const ALL: [Self; [$(stringify!($member)),+].len()] = [$(Self::$member),+];
        }
    };
}

pub(crate) use enumeration;
