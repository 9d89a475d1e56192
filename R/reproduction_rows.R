# The rows of a reproduced result over the seeds of training, beside the numbers of the paper.

training_columns <- c(
  "method", "c", "boundary", "start", "stage_test", "model", "lr", "epochs", "batch_size", "train_size"
)
# What the seeds of one row have in common.
row_columns <- c(training_columns, "attack", "attack_label", "source")

# A row for each training and attack. Seeds and test images vary in different ways, so both are shown:
# `lowest` and `highest` are over seeds; `lower` and `upper` are Wilson's interval at the mean accuracy
# for the number of test images. It is that of one network of this accuracy: the mean over several
# networks of the same images varies no more. A collapsed network says nothing about the accuracy of a
# method that usually does not collapse, so it is counted apart, unless all have collapsed.
rows_over_seeds <- function(rows, level = 0.95) {
  keys <- group_key(rows, row_columns)
  groups <- split(rows, factor(keys, unique(keys)))
  table <- do.call(rbind, lapply(groups, function(all_seeds) {
    collapsed <- all_seeds$collapsed
    group <- if (all(collapsed)) all_seeds else all_seeds[!collapsed, ]
    accuracy <- group$k / group$n
    limits <- wilson_limits(accuracy, group$n, level)
    data.frame(
      group[1, row_columns],
      seeds = nrow(all_seeds), mean = mean(accuracy), lowest = min(accuracy), highest = max(accuracy),
      n = min(group$n), wilson_limits(mean(accuracy), min(group$n), level),
      lowest_limit = min(limits$lower), highest_limit = max(limits$upper),
      collapsed = sum(collapsed), stage_c = mean(group$stage_c)
    )
  }))
  row.names(table) <- NULL
  cbind(network = network_labels(table), table)
}

# Whether some networks of a row are left out of its mean, and how many are in it.
leaves_out <- function(rows) rows$collapsed > 0 & rows$collapsed < rows$seeds
seeds_in_mean <- function(rows) rows$seeds - ifelse(leaves_out(rows), rows$collapsed, 0)

group_key <- function(rows, columns) do.call(paste, c(unname(as.list(rows[columns])), sep = "\r"))

# "SENSE-AT (c = 0.5, bisect), cifar-cnn-1, lr = 0.01": the method, then what differs between networks.
network_labels <- function(rows) {
  labels <- method_labels(rows)
  variants <- variant_labels(rows)
  ifelse(nzchar(variants), paste(labels, variants, sep = ", "), labels)
}

# "SENSE-AT (c = 0.5, bisect, random start)": all but the defaults of the paper.
method_labels <- function(rows) {
  details <- cbind(
    ifelse(is.na(rows$c), NA, sprintf("c = %g", rows$c)),
    ifelse(rows$boundary %in% c(NA, "revert"), NA, rows$boundary),
    ifelse(rows$start %in% c(NA, "natural"), NA, paste(rows$start, "start")),
    ifelse(rows$stage_test %in% c(NA, "natural"), NA, paste("stage test at the", rows$stage_test))
  )
  details <- apply(details, 1, function(detail) toString(detail[!is.na(detail)]))
  names <- named(rows$method, method_names)
  ifelse(nzchar(details), sprintf("%s (%s)", names, details), names)
}

# "cifar-cnn-1, lr = 0.01": the other options that differ between the networks of a method. A learning
# rate that each method has for itself is not among them.
variant_labels <- function(rows) {
  method <- method_labels(rows)
  varies <- function(name) any(tapply(rows[[name]], method, function(x) length(unique(x)) > 1))
  parts <- cbind(
    if (varies("model")) as.character(rows$model),
    if (varies("lr")) sprintf("lr = %g", rows$lr),
    if (varies("epochs")) sprintf("%d epochs", as.integer(rows$epochs)),
    if (varies("batch_size")) sprintf("batches of %d", as.integer(rows$batch_size)),
    if (varies("train_size")) sprintf("%d images", as.integer(rows$train_size))
  )
  if (is.null(parts)) rep("", nrow(rows)) else apply(parts, 1, toString)
}

# Add the paper's number of the same method, c, network and attack, and whether it agrees.
beside_paper <- function(table, paper) {
  found <- vapply(seq_len(nrow(table)), function(i) match_paper(table[i, ], paper, table), 1L)
  table$paper <- paper$value[found]
  table$paper_label <- paper$attack_label[found]
  table$paper_n <- paper$n[found]
  table$qualifier <- paper$qualifier[found]
  table$agrees <- paper_agrees(table)
  table
}

# The row of the paper's numbers, or NA. A network in place of the paper's, such as a thinner one, is
# compared with it, and so are other steps of the same attack where the paper's are not in the table.
match_paper <- function(row, paper, table) {
  same <- function(x, y) is.na(x) & is.na(y) | x %in% y
  good <- paper$method == row$method & paper$attack == row$attack & same(paper$source, row$source)
  if (row$method == "sense") {
    good <- good & same(paper$c, row$c) & row$boundary %in% c(NA, "revert") & row$start %in% c(NA, "natural")
  }
  if (any(paper$model %in% table$model)) good <- good & paper$model %in% row$model
  ours <- table$attack_label[table$attack == row$attack]
  if (any(paper$attack_label[good] %in% ours)) good <- good & paper$attack_label %in% row$attack_label
  which(good)[1]
}

# "yes": the intervals of our seeds and test images contain the paper's number or, where the number of
# its test images is known, overlap its interval. A rounded number ("about") has a margin of half of
# a percentage point. NA: the paper has no number.
paper_agrees <- function(table) {
  rounding <- ifelse(table$qualifier %in% "about", 0.005, 0)
  value <- table$paper
  known <- !is.na(value) & !is.na(table$paper_n)
  low <- value - rounding
  high <- ifelse(table$qualifier %in% "more than", 1, value + rounding)
  limits <- wilson_limits(value[known], table$paper_n[known])
  low[known] <- limits$lower
  high[known] <- limits$upper
  agrees <- ifelse(table$lowest_limit <= high & table$highest_limit >= low, "yes", "no")
  collapse <- table$qualifier %in% "collapse"
  agrees[collapse] <- ifelse(
    table$collapsed == table$seeds, "yes", ifelse(table$collapsed > 0, "for some seeds", "no")
  )[collapse]
  agrees
}
