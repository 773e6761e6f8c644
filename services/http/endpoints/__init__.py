"""What every service answers by itself: health, measures, documentation and administration."""
