//! What stands in a cron, and which days and times it is.

use jiff::civil::date;

use super::{Cron, CronError};

#[test]
fn a_cron_is_on_the_days_that_it_names() {
    // 2026-06-06 is a Saturday.
    let cases: [(&str, i8, bool); 16] = [
        ("0 18 * * 6", 6, true),
        ("0 18 * * SAT", 6, true),
        ("0 18 * * 7", 7, true),
        ("0 18 * * 0", 7, true),
        ("0 18 * * sun", 7, true),
        ("0 18 * * 1-5", 6, false),
        ("0 18 * * MON-FRI", 8, true),
        ("0 18 6 * *", 6, true),
        ("0 18 6 * *", 7, false),
        ("0 18 */5 * *", 6, true),
        ("0 18 */5 * *", 7, false),
        ("0 18 * 5 *", 6, false),
        ("0 18 * JUN *", 6, true),
        // Either day is enough where both are given, and both are needed where one begins with a star.
        ("0 18 1 * 6", 6, true),
        ("0 18 1 * 6", 1, true),
        ("0 18 */2 * 6", 6, false),
    ];
    for (text, day, is_on) in cases {
        let cron: Cron = text.parse().unwrap();
        assert_eq!(cron.is_on(date(2026, 6, day)), is_on, "{text} on the {day}th");
        assert_eq!(cron.to_string(), text);
    }
}

#[test]
fn times_come_last_first() {
    let times = |text: &str| -> Vec<String> {
        text.parse::<Cron>()
            .unwrap()
            .times_backwards()
            .map(|time| time.strftime("%H:%M").to_string())
            .collect()
    };
    assert_eq!(times("0 18 * * *"), ["18:00"]);
    assert_eq!(times("*/20 8-9 * * *"), ["09:40", "09:20", "09:00", "08:40", "08:20", "08:00"]);
    assert_eq!(times("5,10-20/5 0 * * *"), ["00:20", "00:15", "00:10", "00:05"]);
    assert_eq!(times("* * * * *").len(), 1440);
}

#[test]
fn what_is_no_cron_is_refused_with_the_field() {
    for (text, field) in [
        ("60 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("5/10 * * * *", "minute"),
        ("-1 * * * *", "minute"),
        ("+1 * * * *", "minute"),
        ("001 * * * *", "minute"),
        ("1, * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* 5-4 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * L * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * MAI *", "month"),
        ("* * * * 8", "day of the week"),
        ("* * * * 6#1", "day of the week"),
        ("* * * * ?", "day of the week"),
    ] {
        let error = text.parse::<Cron>().unwrap_err();
        assert!(
            matches!(error, CronError::Field { field: found, .. } if found == field),
            "{text}: {error:?}"
        );
    }
    assert_eq!("* * * *".parse::<Cron>().unwrap_err(), CronError::Fields(4));
    assert_eq!("@daily".parse::<Cron>().unwrap_err(), CronError::Fields(1));
    assert_eq!("* *  * * *".parse::<Cron>().unwrap_err(), CronError::Fields(6));
    assert_eq!("0 0 31 FEB,APR *".parse::<Cron>().unwrap_err(), CronError::Never);
    assert!("0 0 29 FEB *".parse::<Cron>().is_ok() && "0 0 31 FEB MON".parse::<Cron>().is_ok());
}
