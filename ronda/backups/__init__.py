"""A backup is a folder, or a prefix in a bucket: a manifest and compressed files, each with its checksum."""
