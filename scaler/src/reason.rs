//! The closed list of reasons of a decision: those of the condition `ScalingActive` (`docs/conditions.md`).

/// Why there are so many pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The load needs them.
    Demand,
    /// `spec.replicas` or `minReplicas` are more than the load needs.
    Floor,
    /// A schedule asks for more than the load.
    Schedule,
    /// An event asks for more than the load.
    Event,
    /// Fewer would do; they are taken away by window and rate, one after the other.
    ScalingDown,
    /// More are needed than `maxReplicas`.
    AtMax,
    /// Too few pods say what they carry.
    DataMissing,
    /// The operator has not watched for long enough to decide anything.
    Starting,
    /// `spec.replicas` is 0.
    Stopped,
    /// `mode: Disabled`.
    Disabled,
    /// `mode: External`.
    External,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Demand,
        Self::Floor,
        Self::Schedule,
        Self::Event,
        Self::ScalingDown,
        Self::AtMax,
        Self::DataMissing,
        Self::Starting,
        Self::Stopped,
        Self::Disabled,
        Self::External,
    ];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Demand => "Demand",
            Self::Floor => "Floor",
            Self::Schedule => "Schedule",
            Self::Event => "Event",
            Self::ScalingDown => "ScalingDown",
            Self::AtMax => "AtMax",
            Self::DataMissing => "DataMissing",
            Self::Starting => "Starting",
            Self::Stopped => "Stopped",
            Self::Disabled => "Disabled",
            Self::External => "External",
        }
    }

    /// Whether the number follows the load: the status of the condition `ScalingActive`.
    pub const fn is_active(self) -> bool {
        !matches!(self, Self::DataMissing | Self::Starting | Self::Stopped | Self::Disabled | Self::External)
    }
}
