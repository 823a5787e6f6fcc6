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
        /// Every pod that serves does so by the current generation of the spec.
        Configured,
        /// What the pods need is well: bucket, disk, Secret, certificate.
        Healthy,
        /// Every pod that runs may use as much memory as the spec says.
        Resized,
        /// A gateway has taken the route; only with `spec.route`.
        Routed,
        /// The number of pods follows the load; only with `spec.autoscaling`. Its reasons are `mediaorigin_scaler::Reason`.
        ScalingActive,
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
        /// False: the pod answers nobody, usually because its node does not.
        Unreachable,
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
        /// True: a child was deleted and is not gone yet; it is made anew then, if it is asked for.
        Deleting,
        /// True: a pod serves an earlier generation still.
        Configuring,
        /// True: a pod is resized while it serves.
        Resizing,
        /// False: the operator changes nothing because it was asked not to.
        Paused,
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
        /// A child was deleted a minute ago and more, and finalizers keep it.
        DeletionBlocked,
        /// A pod refuses the configuration, and serves the one before.
        ConfigRefused,
        /// The node of a pod never has the memory that is asked for, and the pods are never replaced for it.
        ResizeInfeasible,
        /// The rollout has not moved on for five minutes, with a disk for fifteen.
        DeadlineExceeded,
        /// A `HorizontalPodAutoscaler` names the Deployment, whose number of pods the operator writes.
        ScalingConflict,
    }
}

reasons! {
    /// Reasons of `Configured`.
    ConfiguredReason {
        /// True: every pod that serves does so by the current generation.
        Current,
        /// False: a pod serves an earlier one still.
        Older,
        /// False: a pod refuses the current one, and serves the one before.
        Refused,
        /// Unknown: no pod has told which one it serves.
        NoReport,
    }
}

reasons! {
    /// Reasons of `Healthy`, the most serious first.
    HealthReason {
        /// False: the object store refuses the credentials, or there is no such bucket.
        BucketDenied,
        /// False: the disk refuses to be written to.
        DiskDenied,
        /// False: the disk is full of what must stay on it.
        DiskFull,
        /// False: the object store has no room.
        BucketFull,
        /// False: the object store does not answer, or too slowly.
        BucketUnavailable,
        /// False: the disk does not answer, or too slowly.
        DiskUnavailable,
        /// False: NATS has no room for the write-ahead log, or the log is full; uploads that promise `Replicated` are refused.
        LogFull,
        /// False: the write-ahead log cannot be opened, or does not answer.
        LogUnavailable,
        /// False: the publishers' Secret makes no sense; the last good credentials are in force.
        SecretRefused,
        /// False: the certificate cannot be used; the last good one is served.
        CertificateRefused,
        /// True: no pod has said that something is wrong.
        Well,
        /// Unknown: no pod has said anything.
        NoReport,
    }
}

reasons! {
    /// Reasons of `Resized`, the most serious first.
    ResizedReason {
        /// False: the node of a pod never has so much memory.
        Infeasible,
        /// False: the API server refuses to have a pod resized.
        Refused,
        /// False: the kubelet tries to resize a pod and fails.
        Failed,
        /// False: the node of a pod has not so much memory now; it is given when others have left.
        Deferred,
        /// False: a pod that is to have less has to need less first.
        Shrinking,
        /// False: a pod is being resized.
        InProgress,
        /// False: pods are replaced by ones with the memory of the spec.
        Replacing,
        /// True: every pod that runs may use as much as the spec says.
        Resized,
        /// Unknown: no pod runs.
        NoPod,
    }
}

reasons! {
    /// Reasons of `Routed`.
    RoutedReason {
        /// True: every gateway has taken the route.
        Accepted,
        /// False: a gateway has not; the message has its words.
        NotAccepted,
        /// Unknown: no gateway has said anything yet.
        Pending,
        /// False: the cluster has no Gateway API.
        NoGatewayApi,
    }
}
