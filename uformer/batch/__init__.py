"""Millions of pictures: a job that resumes, in this process or on a Ray cluster."""
