"""The parts of tuning: what is searched, the trials on disk, the processes that judge them, the page about them."""
