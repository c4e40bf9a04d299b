"""Pictures that splits of a data set have in common, or nearly: found, counted, told and kept."""
