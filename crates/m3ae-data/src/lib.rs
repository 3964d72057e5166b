//! From the data sets' folders to images, token ids and batches.
