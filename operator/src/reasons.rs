//! The closed lists of condition types and reasons. They are part of the API: programs match on them.

/// An enum of reasons with its list and its text.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every one there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

reasons! {
    /// Types of conditions, in the order of the status.
    ConditionType {
        /// The spec is understood and carried out.
        Accepted,
        /// Clients are served as the spec asks; the summary.
        Ready,
        /// The pods are on their way to what the spec asks.
        Progressing,
        /// The same for kstatus: true means that waiting is worthwhile.
        Reconciling,
        /// True means that waiting is not: somebody has to act.
        Stalled,
    }
}

reasons! {
    /// Reasons of `Accepted`.
    AcceptedReason {
        /// True: there is no problem.
        Accepted,
        /// False: the message lists every problem, one per line, with the path of its field.
        Invalid,
    }
}

reasons! {
    /// Reasons of `Ready`.
    ReadyReason {
        /// True: a pod answers requests.
        Serving,
        /// True: `spec.replicas` is 0, and that is what was asked.
        Stopped,
        /// False: the spec has problems and no pod of an earlier one serves.
        Invalid,
        /// False: an object of the same name belongs to somebody else.
        NameCollision,
        /// False: the API server refused a child.
        Refused,
        /// False: a child could not be written for a reason that may pass; it is tried again.
        ApiError,
        /// False: a pod is on its way.
        Starting,
        /// False: a pod waits for its volumes, usually for a Secret that the spec names.
        VolumesPending,
        /// False: the disk has no volume yet, usually because its `StorageClass` makes none.
        VolumeUnbound,
        /// False: the volume of the disk is gone, with everything on it.
        VolumeLost,
        /// False: no node has room for the pod.
        Unschedulable,
        /// False: the image cannot be pulled.
        ImagePull,
        /// False: the container cannot be created.
        ContainerConfig,
        /// False: the origin starts and dies.
        CrashLoop,
        /// False: Kubernetes may not create the pod: quota, pod security or a policy.
        PodsForbidden,
    }
}

reasons! {
    /// Reasons of `Progressing` and `Reconciling`.
    ProgressReason {
        /// True: pods are being created, replaced or removed, or the volume of the disk grows.
        RollingOut,
        /// True: the disk has no volume yet.
        VolumeUnbound,
        /// True: a child could not be written for a reason that may pass; it is tried again.
        ApiError,
        /// False: everything is as the spec asks.
        Complete,
        /// False: it will not go on by itself, see `Stalled`.
        Blocked,
    }
}

reasons! {
    /// Reasons of `Stalled`.
    StalledReason {
        /// False.
        NotStalled,
        /// The spec has problems.
        Invalid,
        /// An object of the same name belongs to somebody else.
        NameCollision,
        /// The API server refused a child.
        Refused,
        /// The image cannot be pulled.
        ImagePull,
        /// The container cannot be created.
        ContainerConfig,
        /// The origin starts and dies.
        CrashLoop,
        /// Kubernetes may not create the pod.
        PodsForbidden,
        /// The volume of the disk is gone, with everything on it.
        VolumeLost,
        /// The rollout has not moved on for five minutes, with a disk for fifteen.
        DeadlineExceeded,
    }
}
