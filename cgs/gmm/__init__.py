"""GMM-HMM training, decision tree and alignment."""
