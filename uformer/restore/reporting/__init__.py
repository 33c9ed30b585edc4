"""Reports: what a restoration changed, as figures (`change_report`) and as an image (`report_image`)."""
