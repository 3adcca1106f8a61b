"""Every change that is made to a clip before the network sees it."""
