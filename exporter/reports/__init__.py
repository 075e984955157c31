"""Reports on checks that have run: for people, pipelines and programs."""
