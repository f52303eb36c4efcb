//! DynamoDB's numbers: decimal, exact, with up to 38 significant digits.
//!
//! Invariant: each number has one representation, so equal numbers are equal values. The coefficient does not end with a
//! zero, and zero has no sign and no exponent.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// Maximum number of significant digits.
const DIGITS: usize = 38;
/// The exponents that the first digit may have.
const EXPONENTS: std::ops::RangeInclusive<i32> = -130..=125;

/// A number: `coefficient * 10^exponent`, negative or not.
///
/// Aligned like most values, so that these are 32 bytes and not 48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(Rust, packed(8))]
pub(crate) struct Number {
    negative: bool,
    coefficient: u128,
    exponent: i32,
}

impl Number {
    /// Reads a number as it is written in JSON's `N`, such as `-12.5` or `1E3`.
    ///
    /// # Errors
    /// An explanation if the text is not a number, or one that DynamoDB cannot store.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let not_a_number = || format!("The parameter cannot be converted to a numeric value: {text}");
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().map_err(|_| not_a_number())?),
            None => (text, 0i32),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return Err(not_a_number());
        }
        let digits =
            if fraction.is_empty() { Cow::Borrowed(whole) } else { [whole, fraction].concat().into() };
        let significant = digits.trim_end_matches('0');
        let zeros = digits.len() - significant.len();
        let exponent = i64::from(exponent) + length(zeros) - length(fraction.len());
        Self::normal(negative, significant.trim_start_matches('0'), exponent)
    }

    /// Returns the number with these digits, which neither begin nor end with a zero.
    fn normal(negative: bool, digits: &str, exponent: i64) -> Result<Self, String> {
        if digits.is_empty() {
            return Ok(Self::default());
        }
        if digits.len() > DIGITS {
            return Err("Attempting to store more than 38 significant digits in a Number".to_owned());
        }
        let coefficient = digits.parse().map_err(|_| "not a number".to_owned())?;
        let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
        let number = Self { negative, coefficient, exponent };
        if !EXPONENTS.contains(&number.first()) {
            return Err("Number overflow or underflow: its magnitude is not supported".to_owned());
        }
        Ok(number)
    }

    /// The number of significant digits.
    fn digits(self) -> i32 {
        self.coefficient.checked_ilog10().map_or(0, |log| i32::try_from(log).unwrap_or_default() + 1)
    }

    /// The exponent of the first digit.
    fn first(self) -> i32 {
        self.exponent.saturating_add(self.digits() - 1)
    }

    /// The whole number, if it is one and an `i64` can hold it.
    pub(crate) fn whole(self) -> Option<i64> {
        let scale = 10u128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let magnitude = i64::try_from(self.coefficient.checked_mul(scale)?).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// Adds two numbers.
    ///
    /// # Errors
    /// An explanation if the exact sum has more digits than DynamoDB stores.
    pub(crate) fn plus(self, other: Self) -> Result<Self, String> {
        let exponent = self.exponent.min(other.exponent);
        let scaled = |number: Self| {
            let scale = 10i128.checked_pow(u32::try_from(number.exponent - exponent).ok()?)?;
            let magnitude = i128::try_from(number.coefficient).ok()?.checked_mul(scale)?;
            Some(if number.negative { -magnitude } else { magnitude })
        };
        if self.coefficient == 0 {
            return Ok(other);
        }
        if other.coefficient == 0 {
            return Ok(self);
        }
        let sum = scaled(self).zip(scaled(other)).and_then(|(one, other)| one.checked_add(other));
        let sum = sum.ok_or("Attempting to store more than 38 significant digits in a Number")?;
        let digits = sum.unsigned_abs().to_string();
        let significant = digits.trim_end_matches('0');
        let zeros = digits.len() - significant.len();
        Self::normal(sum < 0, significant, i64::from(exponent) + length(zeros))
    }

    /// The number's part of an item's size: a byte for each two digits before and after the point, one for the sign, and
    /// one more.
    pub(crate) fn size(self) -> usize {
        let digits = usize::try_from(self.digits()).unwrap_or_default();
        let after = usize::try_from(-self.exponent).unwrap_or_default().min(digits);
        (digits - after).div_ceil(2) + after.div_ceil(2) + usize::from(self.negative) + 1
    }
}

fn length(digits: usize) -> i64 {
    i64::try_from(digits).unwrap_or(i64::MAX / 4)
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.coefficient, number.negative) {
            (0, _) => 0,
            (_, true) => -1,
            _ => 1,
        };
        // Both coefficients with 38 digits, which an `u128` can hold.
        let full = |number: &Self| {
            let missing = DIGITS.saturating_sub(usize::try_from(number.digits()).unwrap_or_default());
            number.coefficient * 10u128.pow(u32::try_from(missing).unwrap_or_default())
        };
        let magnitudes = || self.first().cmp(&other.first()).then_with(|| full(self).cmp(&full(other)));
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => magnitudes(),
            _ => magnitudes().reverse(),
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Writes all digits, without an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        if let Ok(zeros) = usize::try_from(self.exponent) {
            return write!(f, "{}{:0<zeros$}", { self.coefficient }, "");
        }
        let after = usize::try_from(-self.exponent).unwrap_or_default();
        let digits = format!("{:0>width$}", { self.coefficient }, width = after + 1);
        let (whole, fraction) = digits.split_at(digits.len() - after);
        write!(f, "{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        for (text, normal) in [
            ("0", "0"),
            ("-0.000", "0"),
            ("+7", "7"),
            ("007.50", "7.5"),
            ("-12.5e2", "-1250"),
            ("1E3", "1000"),
            ("1e-7", "0.0000001"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0e999999", "0"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ] {
            assert_eq!(number(text).to_string(), normal, "{text}");
        }
        assert_eq!(number("1e125").to_string().len(), 126);
        for text in ["", "-", ".", "1e", "e1", "0x1", "1_000", " 1", "١", "NaN", "1e126", "1e-131", "--1"] {
            assert!(Number::parse(text).is_err(), "{text}");
        }
        assert!(Number::parse("123456789012345678901234567890123456789").is_err());
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let ascending = ["-1e125", "-10", "-9.5", "-9", "-1e-130", "0", "1e-130", "0.1", "9", "10", "1e125"];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                assert_eq!(number(one).cmp(&number(other)), at.cmp(&other_at), "{one} {other}");
            }
        }
        assert_eq!(number("1.0"), number("10e-1"));
    }

    #[test]
    fn sums_are_exact_or_refused() {
        for (one, other, sum) in [
            ("1", "-1", "0"),
            ("0.1", "0.2", "0.3"),
            ("99", "1", "100"),
            ("-5", "1e3", "995"),
            ("0", "1e125", "1e125"),
            ("99999999999999999999999999999999999998", "1", "99999999999999999999999999999999999999"),
        ] {
            assert_eq!(number(one).plus(number(other)), Ok(number(sum)), "{one} {other}");
        }
        assert!(number("1e125").plus(number("1")).is_err());
        assert!(number("99999999999999999999999999999999999999").plus(number("0.1")).is_err());
        assert!(number("9e125").plus(number("9e125")).is_err());
    }

    #[test]
    fn sizes_are_those_that_dynamodb_counts() {
        for (text, size) in
            [("0", 1), ("42", 2), ("123", 3), ("100", 2), ("-42", 3), ("1.5", 3), ("100.5", 4), ("0.15", 2)]
        {
            assert_eq!(number(text).size(), size, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_known() {
        assert_eq!(number("-1.2e1").whole(), Some(-12));
        assert_eq!(number("1700000000").whole(), Some(1_700_000_000));
        for text in ["1.5", "1e30", "1e125"] {
            assert_eq!(number(text).whole(), None, "{text}");
        }
    }
}
