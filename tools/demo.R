# The table and the picture of `make demo`.
library(sense)

table <- accuracies(file.path("demo", c("nt", "r-at", "sense")))
seconds <- vapply(
  c("nt", "r-at", "sense"),
  function(run) sum(read_sense_fit(file.path("demo", run))$metrics$seconds),
  numeric(1)
)
cat("\n")
print(table)
cat(sprintf("\nseconds of training: %s\n", paste(names(seconds), round(seconds), collapse = ", ")))
ggplot2::ggsave("demo/accuracies.png", autoplot(table), width = 7, height = 3.5, dpi = 150)
cat("picture: demo/accuracies.png\n")
