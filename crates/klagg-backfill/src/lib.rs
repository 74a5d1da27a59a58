//! History before live: plan by weight, fetch, seam, repair, confirmation.
