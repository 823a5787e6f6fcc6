//! Five fields of cron: which minutes of which days. A parser of our own, because what may stand in a spec is a part of the API: no
//! seconds, no `@daily`, no `L`, `W`, `#` or `?`, which crates add to it, and nothing that two of them read differently.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::civil::{Date, Time, time};

/// When something begins, on the clock of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Both days are given: either is enough.
    either_day: bool,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// There are more or fewer fields.
    #[error(
        "{0} fields, five are needed: minute, hour, day of the month, month, day of the week, e.g. \"0 18 * * 6\""
    )]
    Fields(usize),
    /// A field is none.
    #[error(
        "\"{text}\" is no {field}: write *, numbers of {min} to {max}, a-b, */n or a-b/n, with commas between them"
    )]
    Field {
        /// The field's text.
        text: String,
        /// Which field it is.
        field: &'static str,
        /// Its least number.
        min: u8,
        /// Its greatest number.
        max: u8,
    },
    /// No month has such a day.
    #[error("there is no such day in any of its months")]
    Never,
}

/// Numbers below 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| number < 64 && self.0 >> number & 1 == 1)
    }
}

/// Name and numbers of a field, and the words for them; the first word is the least number.
struct Field {
    name: &'static str,
    range: RangeInclusive<u8>,
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", range: 0..=59, words: &[] };
const HOUR: Field = Field { name: "hour", range: 0..=23, words: &[] };
const DAY: Field = Field { name: "day of the month", range: 1..=31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    range: 1..=12,
    words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// 0 and 7 are Sunday.
const WEEKDAY: Field = Field {
    name: "day of the week",
    range: 0..=7,
    words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};
/// Days of the longest February to December.
const LENGTHS: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Field {
    fn parse(&self, text: &str) -> Result<Set, CronError> {
        let mut parts = text.split(',').map(|part| self.part(part));
        let bits = parts.try_fold(0, |bits, part| Some(bits | part?));
        bits.map(Set).ok_or_else(|| CronError::Field {
            text: text.to_owned(),
            field: self.name,
            min: *self.range.start(),
            max: *self.range.end(),
        })
    }

    /// `*`, `a`, `a-b`, and with a step `*/n`, `a-b/n`.
    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if range == "*" => (*self.range.start(), *self.range.end()),
            // One number has no steps.
            None if step.is_some() => return None,
            None => (self.number(range)?, self.number(range)?),
        };
        if first > last {
            return None;
        }
        let numbers = (first..=last).step_by(usize::from(step.unwrap_or(1)));
        Some(numbers.fold(0, |bits, number| bits | 1 << number))
    }

    fn number(&self, text: &str) -> Option<u8> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let found = match word {
            Some(index) => self.range.start().checked_add(u8::try_from(index).ok()?),
            None => number(text),
        };
        found.filter(|number| self.range.contains(number))
    }
}

/// One or two digits.
fn number(text: &str) -> Option<u8> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split(' ').collect();
        let &[minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(CronError::Fields(fields.len()));
        };
        let is_any = |field: &str| field.starts_with('*');
        let either_day = !is_any(days) && !is_any(weekdays);
        let mut cron = Self {
            text: text.to_owned(),
            minutes: MINUTE.parse(minutes)?,
            hours: HOUR.parse(hours)?,
            days: DAY.parse(days)?,
            months: MONTH.parse(months)?,
            weekdays: WEEKDAY.parse(weekdays)?,
            either_day,
        };
        if cron.weekdays.has(7) {
            cron.weekdays.0 |= 1;
        }
        let is_day =
            |month: i8, length: i8| cron.months.has(month) && (1..=length).any(|day| cron.days.has(day));
        let has_day = (1..).zip(LENGTHS).any(|(month, length)| is_day(month, length));
        if !has_day && !either_day {
            return Err(CronError::Never);
        }
        Ok(cron)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Cron {
    /// Whether it begins on this day.
    pub fn is_on(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let is_day = if self.either_day { day || weekday } else { day && weekday };
        is_day && self.months.has(date.month())
    }

    /// The times of such a day, the last one first.
    pub fn times_backwards(&self) -> impl Iterator<Item = Time> + '_ {
        let hours = (0..24).rev().filter(|hour| self.hours.has(*hour));
        hours.flat_map(|hour| {
            let minutes = (0..60).rev().filter(|minute| self.minutes.has(*minute));
            minutes.map(move |minute| time(hour, minute, 0, 0))
        })
    }
}
