# The table and the picture of `make demo`.
library(sense)

runs <- file.path("demo", c("nt", "r-at", "sense"))
table <- accuracies(runs)
seconds <- vapply(runs, function(run) sum(read_sense_fit(run)$metrics$seconds), numeric(1))
cat("\n")
print(table)
cat(sprintf("\nseconds of training: %s\n", paste(basename(runs), round(seconds), collapse = ", ")))
ggplot2::ggsave("demo/accuracies.png", autoplot(table), width = 7, height = 3.5, dpi = 150)
cat("picture: demo/accuracies.png\n")
