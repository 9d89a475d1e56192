# Adversarial training of a linear classifier on the Three Clusters over 100 seeds:
# how often the boundary alternates or settles, and the risks at the end.
#
#   Rscript inst/studies/three_clusters.R [seeds] [output folder]
#
# from the root of the repository, with the package installed. Writes
# three_clusters_study.csv and .json; 100 seeds take about ten minutes on one core.
library(sense)

arguments <- commandArgs(trailingOnly = TRUE)
seeds <- seq_len(if (length(arguments) > 0) as.integer(arguments[1]) else 100)
folder <- if (length(arguments) > 1) arguments[2] else "inst/extdata"

rows <- function(method, setting = "large-step", p = 0.55, gamma = 8, c = 0.9,
                 boundary = "project", learning_rate = NA, gradient = NA) {
  expand.grid(method = method, setting = setting, learning_rate = learning_rate,
              gradient = gradient, boundary = boundary, p = p, gamma = gamma, c = c,
              stringsAsFactors = FALSE)
}
both <- c("r-at", "sense")
settings <- c("paper", "script", "large-step")
grid <- unique(rbind(
  # The paper's parameters under every setting, and the paper's rate with the sum.
  rows(c("nt", both), settings),
  rows("sense", settings, boundary = "revert"),
  rows(both, "paper", gradient = "sum"),
  # From which learning rate on the claim shows.
  rows(both, learning_rate = c(0.03, 0.1, 0.3, 3)),
  # How it changes with p, gamma and c.
  rows(both, p = c(0.5, 0.6, 0.65, 0.7, 0.75, 0.95)),
  rows(both, gamma = c(2, 4, 6, 12)),
  rows("sense", c = c(0, 0.5, 0.7, 0.99)),
  rows(both, "script", p = c(0.75, 0.95)),
  rows("sense", "script", c = c(0.5, 0.7, 0.99))
))

# The commit of the code that runs, not of the one that will hold the results.
commit <- tryCatch(system2("git", c("rev-parse", "--short", "HEAD"), stdout = TRUE),
                   error = function(e) NA)
started <- proc.time()[["elapsed"]]
runs <- study_linear_at(grid, seeds)
seconds <- round(proc.time()[["elapsed"]] - started)

study <- summarise_study(runs)
number <- vapply(study, is.numeric, TRUE)
study[number] <- lapply(study[number], signif, 6)
utils::write.csv(study, file.path(folder, "three_clusters_study.csv"), row.names = FALSE)
jsonlite::write_json(
  list(command = paste("Rscript inst/studies/three_clusters.R", length(seeds)),
       commit = commit, seeds = length(seeds), n = 5000, m = 7, sigma = 0.2, window = 100,
       fits = nrow(runs), seconds = seconds, r_version = R.version.string,
       date = format(Sys.Date())),
  file.path(folder, "three_clusters_study.json"), auto_unbox = TRUE, pretty = TRUE)
