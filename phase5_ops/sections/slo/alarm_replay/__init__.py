"""alarms_would_have_fired: the alarms that watch the tools, replayed on the recorded metrics of thirty days."""
