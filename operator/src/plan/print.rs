//! Plans as text, for logs, scripts and `plan -f`.

use std::fmt;

use super::difference::Difference;
use super::{Action, Collision, Plan, Reason, Verdict};

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Accepted(_) => writeln!(out, "accepted")?,
            Verdict::Deleting => writeln!(out, "deleting: owner references take the children along")?,
            Verdict::Invalid(problems) => {
                writeln!(out, "invalid, the children stay as they are")?;
                problems.iter().try_for_each(|problem| writeln!(out, "  {problem}"))?;
            }
            Verdict::Collision(_, collisions) => {
                writeln!(out, "blocked, these objects are not ours")?;
                collisions.iter().try_for_each(|collision| writeln!(out, "  {collision}"))?;
            }
        }
        if self.paused {
            return writeln!(out, "paused, nothing is written");
        }
        if self.actions.is_empty() {
            return writeln!(out, "nothing to do");
        }
        self.actions
            .iter()
            .enumerate()
            .try_for_each(|(index, action)| writeln!(out, "{}. {action}", index + 1))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announce { pod, news } => write!(out, "announce {news} to pod {pod}"),
            Self::Push { pod, generation } => write!(out, "push generation {generation} to pod {pod}"),
            Self::Resize { pod, limit } => write!(out, "resize pod {pod} to {limit} of memory"),
            Self::Issue(issuance) => issuance.fmt(out),
            Self::Delete { part, .. } => write!(out, "delete {part}: not asked for any more"),
            Self::Apply(child, reason) => {
                let verb = match reason {
                    Reason::Missing => "create",
                    Reason::Edited(_) => "update",
                    Reason::Drifted(_) => "repair",
                };
                write!(out, "{verb} {}: {reason}", child.part)
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |list: &[Difference]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Missing => write!(out, "missing"),
            Self::Edited(differences) if differences.is_empty() => write!(out, "edited, only removals"),
            Self::Edited(differences) => write!(out, "edited, {}", list(differences)),
            Self::Drifted(differences) => write!(out, "drifted, {}", list(differences)),
        }
    }
}

impl fmt::Display for Collision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part.suffix() {
            "" => write!(out, "{} of the same name, {}", self.part, self.owner),
            _ => write!(out, "{} \"{}\", {}", self.part.kind(), self.name, self.owner),
        }
    }
}
