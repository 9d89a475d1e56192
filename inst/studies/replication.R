# Replication of the results of the package: every stored table and picture, from this file.
#
#   Rscript inst/studies/replication.R [seconds|minutes|hours] [folder]
#
# from the root of the repository, with the package installed, or from anywhere by
#
#   Rscript -e 'source(system.file("studies", "replication.R", package = "sense"))'
#
# The first argument is the longest run time that is accepted, "seconds" without one; each class
# includes the shorter ones:
#
#   seconds   computed now in plain R: the theory, figures 2 to 6, the errata, and tables, tests and
#             pictures from the stored outcomes of every attacked image;
#   minutes   also computed again: the study of linear classifiers over 100 seeds, and the three
#             networks of `make demo` (needs Python);
#   hours     also computed again: the networks of the tables and figures of the paper, at the scale
#             of two cores (needs Python; downloads MNIST and CIFAR10).
#
# Tables (.csv) and pictures (.png) are written into the folder, replication/ by default. The stored
# results carry the commands, commits, seeds, data and times of the runs that made them.
library(sense)

classes <- c("seconds", "minutes", "hours")
arguments <- commandArgs(trailingOnly = TRUE)
longest <- if (length(arguments) > 0) arguments[[1]] else "seconds"
folder <- if (length(arguments) > 1) arguments[[2]] else "replication"
if (!longest %in% classes) {
  stop("the run time must be one of ", toString(classes), ", got ", longest, call. = FALSE)
}
accepted <- function(class) match(class, classes) <= match(longest, classes)
dir.create(folder, showWarnings = FALSE, recursive = TRUE)

stored <- function(...) system.file("extdata", ..., package = "sense")

# Compute and write a table or a picture, and say how long it took.
write_result <- function(name, result, width = 7, height = 4) {
  started <- proc.time()[["elapsed"]]
  if (inherits(result, "ggplot")) {
    file <- paste0(name, ".png")
    ggplot2::ggsave(file.path(folder, file), result, width = width, height = height, dpi = 100)
  } else {
    file <- paste0(name, ".csv")
    utils::write.csv(as.data.frame(result), file.path(folder, file), row.names = FALSE)
  }
  cat(sprintf("%-36s %6.1f s\n", file, proc.time()[["elapsed"]] - started))
  invisible(result)
}

# ---- Seconds: sections 3 and 5.1 of the paper, in plain R -------------------------------------------

write_result("figure2", figure2(), height = 6.5)
write_result("figure3", figure3(), height = 3)
write_result("figure4", figure4(), height = 5)
write_result("figure5", figure5())
write_result("figure6", figure6(), width = 9, height = 5)

# Each erratum: the value of the printed statement, of the corrected one, and a reference found in
# another way.
write_result("errata", paper_errata())

# ---- Seconds: the stored study of linear classifiers over seeds --------------------------------------

study <- write_result("three-clusters", stored_study())

# ---- Seconds: networks, from the stored outcomes of every attacked image -----------------------------

# The demo: natural training, R-AT and SENSE-AT on the MNIST sample; one seed, all 2,000 test images.
demo <- file.path(stored("mnist-demo"), c("nt", "r-at", "sense"))
demo_accuracies <- accuracies(demo)
write_result("mnist-demo", demo_accuracies)
write_result("mnist-demo-accuracies", autoplot(demo_accuracies), height = 3.5)

# Which differences are significant: McNemar's exact test for each pair and attack, adjusted by Holm.
demo_comparison <- compare_sense(lapply(demo, read_sense_evaluation))
write_result("mnist-demo-comparison", demo_comparison)

# The demo with ten seeds: how often training collapses, and how the accuracies spread.
seeds <- utils::read.csv(stored("mnist-demo-seeds.csv"))
attacks <- jsonlite::read_json(stored("mnist-demo-seeds.json"))$attacks
labels <- vapply(attacks, function(attack) attack$label, "")
labelled <- seeds$attack %in% names(labels)
seeds$attack[labelled] <- labels[seeds$attack[labelled]]
write_result("mnist-demo-seeds", accuracies(seeds))
write_result("mnist-demo-seeds-accuracies", autoplot(accuracies(seeds)), height = 4.5)

# Five networks on all of MNIST under every attack, on the same 1,000 test images.
robustness <- list.dirs(stored("mnist-robustness"), recursive = FALSE)
robustness_comparison <- compare_sense(lapply(robustness, read_sense_evaluation))
write_result("mnist-robustness", accuracies(robustness))
write_result("mnist-robustness-comparison", robustness_comparison)
write_result("mnist-robustness-accuracies", autoplot(robustness_comparison, "accuracy"), height = 6)
write_result("mnist-robustness-curve", autoplot(robustness_comparison, "curve"), height = 5)

# What is stored of the paper's own tables and figures, one table each.
for (file in list.files(stored("reproduce"), "\\.csv(\\.gz)?$", full.names = TRUE)) {
  write_result(sub("\\.csv.*", "", basename(file)), utils::read.csv(file))
}

# ---- Minutes: computed again --------------------------------------------------------------------------

if (accepted("minutes")) {
  # 100 seeds take about ten minutes on one core. The same numbers as in the stored study.
  again <- file.path(folder, "again")
  dir.create(again, showWarnings = FALSE)
  status <- system2(file.path(R.home("bin"), "Rscript"), c(
    shQuote(system.file("studies", "three_clusters.R", package = "sense")), "100", shQuote(again)
  ))
  stopifnot(status == 0)
  computed <- utils::read.csv(file.path(again, "three_clusters_study.csv"))
  stopifnot(all.equal(computed, study, check.attributes = FALSE, tolerance = 1e-4))

  # The demo: the recipe is the default of train_sense(). A finished run is not repeated.
  runs <- lapply(c("nt", "r-at", "sense"), function(method) {
    run <- file.path(again, method)
    if (!file.exists(file.path(run, "evaluation.json"))) {
      fit <- train_sense(method = method, c = 0.7, out = run)
      evaluate_sense(fit, "pgd")
    }
    run
  })
  write_result("mnist-demo-again", accuracies(unlist(runs)))
}

# ---- Hours: the tables and figures of the paper ------------------------------------------------------

if (accepted("hours")) {
  # Interrupt it at any time; the same command continues. `--scale paper` has the settings of the paper
  # and needs a GPU and days; `--hours` shows the time of each training without running it.
  python <- reticulate::py_exe()
  status <- system2(python, c("-m", "sense.reproduce", "all", "--scale", "cpu", "--out", shQuote(folder)))
  stopifnot(status == 0)
}

# Versions of R and of the packages that were used.
writeLines(utils::capture.output(utils::sessionInfo()), file.path(folder, "session.txt"))
