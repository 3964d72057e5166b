//! Numbers and texts as people and HTML read them.

/// `text` with control characters, which neither HTML nor SVG allows, as `�`. It is not escaped.
pub(crate) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !"\t\n".contains(c) { '\u{fffd}' } else { c }).collect()
}

/// `text` for use between an SVG's tags and inside quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A number with about four significant digits: `0.0312`, `12.35`, `1,234,567`, `2.5e-5`; `–` where it is not finite.
#[must_use]
pub fn format_number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "–".to_owned()
    } else if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e15).contains(&size) {
        let text = format!("{value:.2e}");
        // "2.50e-5" says no more than "2.5e-5".
        match text.split_once('e') {
            Some((digits, power)) => format!("{}e{power}", trim_zeros(digits)),
            None => text,
        }
    } else if size >= 9_999.5 || (value.fract() == 0.0) {
        group_thousands(&format!("{value:.0}"))
    } else {
        let before = size.log10().floor().max(-1.0) as i32;
        let decimals = (3 - before).clamp(0, 4) as usize;
        format!("{value:.decimals$}")
    }
}

fn trim_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

fn group_thousands(whole: &str) -> String {
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A tick's label, where neighbouring ticks are `step` apart: with as many decimals as tell them apart.
pub(crate) fn format_tick(value: f64, step: f64) -> String {
    let size = value.abs();
    if value == 0.0 || size < step * 1e-6 {
        return "0".to_owned();
    }
    if size >= 1e9 || step < 0.99e-4 {
        let text = format!("{value:.2e}");
        return match text.split_once('e') {
            Some((digits, power)) => format!("{}e{power}", trim_zeros(digits)),
            None => text,
        };
    }
    let (scaled, scaled_step, unit) = match size {
        _ if step >= 1e5 => (value / 1e6, step / 1e6, "M"),
        _ if size >= 1e4 || step >= 1e3 => (value / 1e3, step / 1e3, "k"),
        _ => (value, step, ""),
    };
    // 0.25 takes two decimals though its power of ten says one: count until nothing is left.
    let decimals = (0..8)
        .find(|&d| (scaled_step * 10_f64.powi(d)).fract().min(1.0 - (scaled_step * 10_f64.powi(d)).fract()) < 1e-6);
    let decimals = decimals.unwrap_or(8) as usize;
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_control_characters_replaced() {
        assert_eq!(escape("<b a='1'>&\"\u{0}é\n"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;\u{fffd}é\n");
    }

    #[test]
    fn numbers_have_about_four_digits() {
        let cases = [
            (0.0, "0"),
            (0.031_24, "0.0312"),
            (0.5, "0.5000"),
            (12.346, "12.35"),
            (-1.5, "-1.500"),
            (1_234_567.0, "1,234,567"),
            (12_345.6, "12,346"),
            (-1_000.0, "-1,000"),
            (2.5e-5, "2.5e-5"),
            (1e16, "1e16"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(format_number(value), text, "{value}");
        }
    }

    #[test]
    fn ticks_can_be_told_apart() {
        let cases = [
            (0.25, 0.05, "0.25"),
            (0.5, 0.25, "0.50"),
            (20_000.0, 5_000.0, "20k"),
            (2_500_000.0, 500_000.0, "2.5M"),
            (5_000.0, 2_500.0, "5.0k"),
            (400.0, 200.0, "400"),
            (2e-5, 1e-5, "2e-5"),
            (0.0, 0.1, "0"),
        ];
        for (value, step, text) in cases {
            assert_eq!(format_tick(value, step), text, "{value} by {step}");
        }
    }
}
