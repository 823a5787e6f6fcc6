//! What the pods of a fleet are like.

/// How large a pod is, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) memory: &'static str,
    pub(super) connections: u32,
    /// Parts of the log that all follow.
    pub(super) partitions: u16,
    /// Seconds after which what nobody needs to find in the index may be forgotten, if not the usual ones.
    pub(super) forget_after: Option<u64>,
    /// Zones over which the pods are spread in turns; 0 where no pod knows its zone.
    pub(super) zones: usize,
}

pub(super) const SMALL: Size =
    Size { memory: "256Mi", connections: 200, partitions: 1, forget_after: None, zones: 0 };

impl Size {
    /// The zone of a pod.
    pub(super) fn zone(self, number: usize) -> String {
        number.checked_rem(self.zones).map(|zone| format!("zone-{zone}")).unwrap_or_default()
    }
}
