# A figure from stored results: accuracies of three networks under all attacks, with intervals.
# Needs no Python. The object is a ggplot: change it as any other.
library(sense)
library(ggplot2)

runs <- system.file("extdata", "mnist-demo", c("nt", "r-at", "sense"), package = "sense")
table <- accuracies(setNames(runs, basename(runs)))
print(table)

picture <- autoplot(table) + labs(title = "MNIST sample, l-infinity ball of radius 0.3")
file <- file.path(tempdir(), "accuracies.png")
ggsave(file, picture, width = 7, height = 4, dpi = 100)
cat("written:", basename(file), "\n")
