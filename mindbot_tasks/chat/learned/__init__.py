"""The learned layer of the classifier. Only `training` needs scikit-learn, and only the command line imports it."""
