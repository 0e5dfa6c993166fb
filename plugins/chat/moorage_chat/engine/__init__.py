"""Running generations: started, followed, stopped, written down."""
