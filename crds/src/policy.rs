//! Domain types: what the wire types mean once they were validated. Private fields, constructed only by [`crate::validate`].

mod tiers;

use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobMatcher};

pub use tiers::{Disk, Durability, Keep, Tiers};

/// What an object is; bounded, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Playlist or MPD.
    Manifest,
    /// Initialisation segment.
    Init,
    /// Media segment.
    Segment,
    /// Part of a segment (LL-HLS).
    Part,
    /// Anything else.
    Other,
}

impl Class {
    /// Every class, for metrics.
    pub const ALL: [Self; 5] = [Self::Manifest, Self::Init, Self::Segment, Self::Part, Self::Other];

    /// The class that [`Self::as_str`] calls `word`.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// Tells by the extension of the file name, and for `.mp4` and `.m4s` by the name: `init…` and `…init` are headers.
    pub fn of(path: &str) -> Self {
        let file = path.rsplit('/').next().unwrap_or(path);
        let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
        let is_init = || {
            let stem = stem.to_ascii_lowercase();
            stem.starts_with("init") || stem.ends_with("init") || stem.ends_with("header")
        };
        // `Streams(video.cmfv)` is the old form of DASH-IF ingest.
        match extension.trim_end_matches(')').to_ascii_lowercase().as_str() {
            "m3u8" | "mpd" | "ism" | "isml" => Self::Manifest,
            "init" | "header" => Self::Init,
            "mp4" | "m4s" | "cmfv" | "cmfa" | "cmft" | "cmfm" | "m4v" | "m4a" | "webm" if is_init() => {
                Self::Init
            }
            "m4s" | "ts" | "cmfv" | "cmfa" | "cmft" | "cmfm" | "m4v" | "m4a" | "aac" | "mp4" | "vtt"
            | "webm" | "m4i" => Self::Segment,
            _ => Self::Other,
        }
    }

    /// The word in metrics, logs and `/-/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Init => "init",
            Self::Segment => "segment",
            Self::Part => "part",
            Self::Other => "other",
        }
    }
}

/// From when on an object can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// While it is being written.
    Early,
    /// When its last byte is there.
    Complete,
}

/// Which `Cache-Control` an answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheControl {
    /// By class, unless the PUT gave one.
    Auto,
    /// What the PUT gave, or none.
    AsStored,
    /// This value, whatever the PUT gave.
    Literal(String),
}

/// The CDN in front of an origin: which headers it understands, and what it does with an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CdnProfile {
    /// Any, or none.
    #[default]
    Generic,
    /// Amazon CloudFront.
    CloudFront,
    /// Fastly.
    Fastly,
    /// Akamai.
    Akamai,
    /// Google Cloud CDN and Media CDN.
    GoogleCdn,
}

/// One rule, ready to match.
#[derive(Clone, Debug)]
pub struct TierPolicy {
    pub(crate) name: String,
    pub(crate) globs: Vec<GlobMatcher>,
    pub(crate) class: Option<Class>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) durability: Durability,
    pub(crate) eager_after: Option<Duration>,
    pub(crate) serve_stale: Option<Duration>,
    pub(crate) keep: Duration,
    pub(crate) disk: Keep,
    pub(crate) object_store: Keep,
    pub(crate) expire: Option<Duration>,
    pub(crate) cache_control: CacheControl,
}

impl TierPolicy {
    /// Unique name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// In a fleet: after what time of silence of its log a manifest counts that two pods hold; `None` is never.
    pub fn eager_after(&self) -> Option<Duration> {
        self.eager_after
    }

    /// In a fleet whose log is silent: how old what is known may be that readers are shown; `None` shows nothing.
    pub fn serve_stale(&self) -> Option<Duration> {
        self.serve_stale
    }

    /// What a 2xx answer to a PUT promises.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// How long after its last byte an object is never evicted from memory.
    pub fn keep(&self) -> Duration {
        self.keep
    }

    /// How long it stays on the disk; never [`Keep::Never`] with [`Durability::Disk`].
    pub fn disk(&self) -> Keep {
        self.disk
    }

    /// How long it stays in the object store; never [`Keep::Never`] with [`Durability::Durable`].
    pub fn object_store(&self) -> Keep {
        self.object_store
    }

    /// How long after its last byte an object is gone.
    pub fn expire(&self) -> Option<Duration> {
        self.expire
    }

    /// Which `Cache-Control` its answers carry.
    pub fn cache_control(&self) -> &CacheControl {
        &self.cache_control
    }

    fn matches(&self, path: &str) -> bool {
        self.globs.iter().any(|glob| glob.is_match(path))
    }

    /// What applies where no rule of the user does.
    fn built_in(tiers: Tiers) -> Self {
        Self {
            name: "built-in".to_owned(),
            globs: Vec::new(),
            class: None,
            visibility: None,
            durability: tiers.durability(),
            eager_after: None,
            serve_stale: None,
            keep: Duration::from_mins(1),
            disk: tiers.disk_keep(),
            object_store: tiers.object_store_keep(),
            expire: None,
            cache_control: CacheControl::Auto,
        }
    }
}

/// Compiles a path glob: `*` and `?` stay within a folder, `**` crosses folders.
pub(crate) fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build()
}

/// Globs that paths are compared with, as `tierPolicies` have them.
#[derive(Clone, Debug)]
pub struct PathGlobs(Vec<GlobMatcher>);

impl PathGlobs {
    pub(crate) fn new(globs: Vec<GlobMatcher>) -> Self {
        Self(globs)
    }

    /// Whether one of them matches `path` (decoded, without a leading slash).
    pub fn matches(&self, path: &str) -> bool {
        self.0.iter().any(|glob| glob.is_match(path))
    }
}

impl PartialEq for PathGlobs {
    fn eq(&self, other: &Self) -> bool {
        let texts =
            |globs: &Self| globs.0.iter().map(|glob| glob.glob().glob().to_owned()).collect::<Vec<_>>();
        texts(self) == texts(other)
    }
}

/// One cross-origin rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsRule {
    /// Allowed origins, `*` for any.
    pub origins: Vec<String>,
    /// Allowed methods, upper case; never empty.
    pub methods: Vec<&'static str>,
    /// Allowed request headers, `*` for any.
    pub headers: Vec<String>,
    /// Response headers that a page may read.
    pub expose: Vec<String>,
    /// How long a preflight answer may be remembered.
    pub max_age: Duration,
}

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAccess {
    /// Everyone.
    Public,
    /// Whoever has credentials.
    Authenticated,
    /// Whoever has credentials or a signed URL.
    SignedUrls,
}

/// How close answers are to those of AWS Elemental MediaStore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaStore {
    /// Its requests are answered as its SDKs expect, without its limits.
    Relaxed,
    /// Its limits and habits hold for every request.
    Strict,
}

/// Bounds on what clients may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest object in bytes.
    pub object_bytes_max: u64,
    /// Longest silence within an upload.
    pub upload_idle: Duration,
}

/// All hot settings of an origin: one immutable snapshot, swapped whole.
#[derive(Clone, Debug)]
pub struct Policies {
    pub(crate) rules: Vec<TierPolicy>,
    pub(crate) built_in: TierPolicy,
    pub(crate) cors: Vec<CorsRule>,
    pub(crate) limits: Limits,
    pub(crate) cdn: CdnProfile,
    pub(crate) read_access: ReadAccess,
    pub(crate) media_store: MediaStore,
}

/// What the policies say of one object.
#[derive(Clone, Copy, Debug)]
pub struct Treatment<'a> {
    /// The rule that matched.
    pub policy: &'a TierPolicy,
    /// What the object is.
    pub class: Class,
    /// From when on it can be read.
    pub visibility: Visibility,
    /// The CDN in front.
    pub cdn: CdnProfile,
}

impl Policies {
    /// For everyone to read, without the habits of other origins.
    pub(crate) fn new(
        rules: Vec<TierPolicy>,
        tiers: Tiers,
        cors: Vec<CorsRule>,
        limits: Limits,
        cdn: CdnProfile,
    ) -> Self {
        let (read_access, media_store) = (ReadAccess::Public, MediaStore::Relaxed);
        Self { rules, built_in: TierPolicy::built_in(tiers), cors, limits, cdn, read_access, media_store }
    }

    /// The same with these readers and habits. MediaStore sends no `Cache-Control` but the stored one.
    pub(crate) fn with(mut self, read_access: ReadAccess, media_store: MediaStore) -> Self {
        if media_store == MediaStore::Strict {
            let all = self.rules.iter_mut().chain([&mut self.built_in]);
            for rule in all.filter(|rule| rule.cache_control == CacheControl::Auto) {
                rule.cache_control = CacheControl::AsStored;
            }
        }
        Self { read_access, media_store, ..self }
    }

    /// What applies to the object under `path` (decoded, without a leading slash).
    pub fn treat(&self, path: &str) -> Treatment<'_> {
        let policy = self.rules.iter().find(|rule| rule.matches(path)).unwrap_or(&self.built_in);
        let class = policy.class.unwrap_or_else(|| Class::of(path));
        let by_class = if class == Class::Manifest { Visibility::Complete } else { Visibility::Early };
        Treatment { policy, class, visibility: policy.visibility.unwrap_or(by_class), cdn: self.cdn }
    }

    /// Whether a rule that may apply promises this with a 2xx.
    pub fn may_be(&self, durability: Durability) -> bool {
        let is_all = |rule: &TierPolicy| rule.globs.iter().any(|glob| glob.glob().glob() == "**");
        let last = self.rules.iter().position(is_all);
        let rules = last.map_or(&self.rules[..], |last| &self.rules[..=last]);
        let built_in = last.is_none().then_some(&self.built_in);
        rules.iter().chain(built_in).any(|rule| rule.durability == durability)
    }

    /// Cross-origin rules in order.
    pub fn cors(&self) -> &[CorsRule] {
        &self.cors
    }

    /// The CDN in front.
    pub fn cdn(&self) -> CdnProfile {
        self.cdn
    }

    /// Bounds on what clients may ask.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Who may read.
    pub fn read_access(&self) -> ReadAccess {
        self.read_access
    }

    /// How close answers are to those of MediaStore.
    pub fn media_store(&self) -> MediaStore {
        self.media_store
    }

    /// Names of the rules in order, the built-in one last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().chain([&self.built_in]).map(TierPolicy::name)
    }
}
