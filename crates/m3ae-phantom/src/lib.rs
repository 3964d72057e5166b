//! Synthetic radiology images with captions, questions and known truth, in the layouts of the real data sets.
