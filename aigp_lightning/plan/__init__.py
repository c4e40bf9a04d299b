"""Forecasts what a run would draw and deliver, before it starts."""
