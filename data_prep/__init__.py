"""From a folder of clips to an audited store: reading, trimming, splits, noise, downloads."""
