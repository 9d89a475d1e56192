# Small networks on the Three Clusters, trained by NT, R-AT and SENSE-AT in the ball of section 5.1
# (l2, eps = 8 sigma = 1.6), for the vignette three-clusters.
#
#   Rscript inst/studies/three_clusters_networks.R [output folder]
#
# from the root of the repository, with Python. Writes the folders of three runs; a minute on one core.
pkgload::load_all(quiet = TRUE) # the source, so that each run records its commit

arguments <- commandArgs(trailingOnly = TRUE)
folder <- if (length(arguments)) arguments[1] else "inst/extdata/three-clusters"
data <- three_clusters(5000, p = 0.55, m = 7, sigma = 0.2, seed = 1)
eps <- c(x1 = 1.6, x2 = 1.6)

for (method in c("nt", "r-at", "sense")) {
  out <- file.path(folder, method)
  train_sense(
    y ~ x1 + x2, data,
    method = method, model = "mlp-16-16", c = 0.9, eps = eps, norm = 2, pretrain = 1, epochs = 9,
    batch_size = 50, control = sense_control(out = out, threads = 1, device = "cpu")
  )
  unlink(list.files(out, "^checkpoint", full.names = TRUE))
}
