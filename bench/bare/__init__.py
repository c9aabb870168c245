"""The baseline: what somebody writes in five minutes with Django and REST framework, and serves with stock Daphne."""
