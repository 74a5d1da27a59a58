//! The nine values of a kline.

use clap::ValueEnum;
use klagg_kline::{Kline, Price, QuoteVolume, Volume};

/// A value of a kline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Field {
    /// Price of the first trade.
    Open,
    /// Highest price.
    High,
    /// Lowest price.
    Low,
    /// Price of the last trade.
    Close,
    /// Base volume.
    Volume,
    /// Quote volume.
    QuoteVolume,
    /// Raw fills.
    Count,
    /// Base volume where the taker bought.
    TakerBuyVolume,
    /// Quote volume where the taker bought.
    TakerBuyQuoteVolume,
}

impl Field {
    pub(crate) const ALL: [Self; 9] = [
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Volume,
        Self::QuoteVolume,
        Self::Count,
        Self::TakerBuyVolume,
        Self::TakerBuyQuoteVolume,
    ];

    /// Its name in the exchange's dumps.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::QuoteVolume => "quote_volume",
            Self::Count => "count",
            Self::TakerBuyVolume => "taker_buy_volume",
            Self::TakerBuyQuoteVolume => "taker_buy_quote_volume",
        }
    }

    /// The value as an integer; comparable with the same field of another kline.
    pub(crate) fn scaled(self, kline: &Kline) -> i128 {
        match self {
            Self::Open => kline.open.scaled().into(),
            Self::High => kline.high.scaled().into(),
            Self::Low => kline.low.scaled().into(),
            Self::Close => kline.close.scaled().into(),
            Self::Volume => kline.volume.scaled(),
            Self::QuoteVolume => kline.quote_volume.scaled(),
            Self::Count => kline.trade_count.into(),
            Self::TakerBuyVolume => kline.taker_buy_volume.scaled(),
            Self::TakerBuyQuoteVolume => kline.taker_buy_quote_volume.scaled(),
        }
    }

    /// An integer of this field as a decimal.
    pub(crate) fn text(self, scaled: i128) -> String {
        match self {
            Self::Open | Self::High | Self::Low | Self::Close => match i64::try_from(scaled) {
                Ok(price) => Price::from_scaled(price).to_string(),
                Err(_) => Volume::from_scaled(scaled).to_string(),
            },
            Self::Volume | Self::TakerBuyVolume => Volume::from_scaled(scaled).to_string(),
            Self::QuoteVolume | Self::TakerBuyQuoteVolume => {
                QuoteVolume::from_scaled(scaled).to_string()
            }
            Self::Count => scaled.to_string(),
        }
    }
}

/// How a value of ours compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    Equal,
    /// Different, and a straddling aggregate makes exactly this difference.
    Explained,
    Different,
}

/// The fate of each field, in the order of [`Field::ALL`].
pub(crate) type Matches = [Match; 9];

/// Each field of `ours` against `official`; `explained` is what ours would be, were the
/// straddling aggregates cut at the edges.
pub(crate) fn matches(ours: &Kline, official: &Kline, explained: Option<&Kline>) -> Matches {
    Field::ALL.map(|field| {
        let wanted = field.scaled(official);
        if field.scaled(ours) == wanted {
            Match::Equal
        } else if explained.is_some_and(|kline| field.scaled(kline) == wanted) {
            Match::Explained
        } else {
            Match::Different
        }
    })
}
