# The picture of inst/extdata/mnist-demo-seeds.csv, which tools/store-demo-seeds writes.
library(sense)

name <- "inst/extdata/mnist-demo-seeds"
counts <- read.csv(paste0(name, ".csv"))
attacks <- jsonlite::read_json(paste0(name, ".json"))$attacks
labels <- vapply(attacks, function(attack) attack$label, "")
labelled <- counts$attack %in% names(labels)
counts$attack[labelled] <- labels[counts$attack[labelled]]
ggplot2::ggsave(paste0(name, ".png"), autoplot(accuracies(counts)), width = 7, height = 4.5, dpi = 150)
