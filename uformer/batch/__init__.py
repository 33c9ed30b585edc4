"""Restores millions of images as a job that can be resumed, in this process or on a Ray cluster."""
