#' A trained network
#'
#' The result of [train_sense()] and of [read_sense_fit()]: plain R data, with the weights as raw
#' bytes, so that [saveRDS()] and [readRDS()] keep it whole.
#'
#' @param folder The folder of a run, of R or of `python -m sense.train`.
#' @param object,x A `sense_fit`.
#' @param newdata Images: an array n x height x width (x channels), or a matrix with a row for each
#'   square greyscale image, as in [train_sense()].
#' @param type `"class"` for the most probable class, `"prob"` for the probabilities of all classes.
#' @param device,model The device, and `"module:factory"` again if the network comes from such a
#'   function, as in [evaluate_sense()].
#' @param ... Not used.
#' @return `predict()`: a factor of length n with the levels of the training, or a matrix n x classes,
#'   with the classes as column names, whose rows sum to 1. [augment()][augment.sense_fit()] returns both
#'   as columns `.pred_class` and `.pred_CLASS`, as yardstick expects them. `plot()` draws what
#'   `autoplot()` returns.
#'   `summary()`: an object that prints the options, the last epoch with Wilson intervals and the
#'   provenance; it is a list with `options`, `accuracies` (a data frame with `k`, `n`, `estimate`,
#'   `lower`, `upper`) and `provenance`. `autoplot()`: a ggplot of the training curves.
#'
#' A `sense_fit` is a list of `config` (all options), `data` (name, hash, shape and classes),
#' `metrics` (a data frame with a row for each epoch), `weights` (raw bytes), `provenance` (command,
#' commit, versions, time), `folder` and `description` (the text of `config.json`).
#' @examples
#' fit <- read_sense_fit(system.file("extdata", "mnist-demo", "sense", package = "sense"))
#' fit
#' summary(fit)
#' autoplot(fit)
#' if (sense_available()) predict(fit, array(0, c(2, 28, 28)), type = "prob")
#' @family functions to train
#' @name sense_fit
NULL

#' @rdname sense_fit
#' @export
read_sense_fit <- function(folder) {
  check_folder(folder)
  files <- c("config.json", "metrics.jsonl", "model.safetensors")
  absent <- files[!vapply(files, function(name) run_has(folder, name), TRUE)]
  if (length(absent)) {
    abort_file("{.file {folder}} is not the folder of a finished run: it has no {.file {absent}}. Give another folder, or resume the run.")
  }
  text <- read_run_text(folder, "config.json")
  description <- parse_json_text(text, file.path(folder, "config.json"), simplify = TRUE)
  if (!is.list(description$config) || !is.list(description$data)) {
    damaged(file.path(folder, "config.json"), "it must have the entries config and data")
  }
  metrics <- read_run_text(folder, "metrics.jsonl")
  with_sums(structure(
    list(
      config = description$config,
      data = description$data,
      metrics = parse_json_lines(metrics, file.path(folder, "metrics.jsonl")),
      weights = read_run(folder, "model.safetensors"),
      provenance = description$provenance,
      folder = normalizePath(folder),
      description = text
    ),
    class = "sense_fit"
  ))
}

#' @export
print.sense_fit <- function(x, ...) {
  last <- utils::tail(x$metrics, 1)
  cat("<sense_fit> ", describe_method(x$config), "\n", sep = "")
  cat(sprintf(
    "%s on %s, %d epochs, %.0f s of training\n",
    x$config$model, x$data$name, nrow(x$metrics), sum(x$metrics$seconds)
  ))
  print_accuracies(monitored_accuracies(last), x$config)
  invisible(x)
}

#' @rdname sense_fit
#' @export
summary.sense_fit <- function(object, ...) {
  structure(
    list(
      options = object$config,
      accuracies = monitored_accuracies(utils::tail(object$metrics, 1)),
      stages = stage_shares(object$metrics),
      means = last_means(object$metrics),
      provenance = object$provenance,
      header = describe_method(object$config)
    ),
    class = "summary.sense_fit"
  )
}

#' @export
print.summary.sense_fit <- function(x, ...) {
  cat(x$header, "\n\nOptions\n", sep = "")
  for (name in names(x$options)) {
    value <- x$options[[name]]
    if (length(value)) cat("  ", format(name, width = 13), format(value), "\n")
  }
  cat("\nLast epoch\n")
  print_accuracies(x$accuracies, x$options)
  if (nrow(x$stages)) {
    last <- x$stages[x$stages$epoch == max(x$stages$epoch), ]
    cat("stages:", paste(sprintf("%s %.1f %%", last$stage, 100 * last$share), collapse = ", "), "\n")
  }
  for (name in names(x$means)) {
    cat(sprintf("mean %s: %.4f\n", name, x$means[[name]]))
  }
  cat("\nProvenance\n")
  for (name in names(x$provenance)) {
    cat("  ", format(name, width = 8), format(x$provenance[[name]] %||% "unknown"), "\n")
  }
  invisible(x)
}

#' @rdname sense_fit
#' @export
predict.sense_fit <- function(object, newdata, type = c("class", "prob"), device = NULL,
                              model = NULL, ...) {
  type <- check_choice(type, c("class", "prob"))
  if (missing(newdata)) {
    abort("Give the images to classify as {.arg newdata}.")
  }
  images <- as_inputs(newdata, object, "newdata")
  check_sums(object, "object")
  probabilities <- call_python("predict", drop_null(list(
    description = object$description, weights = object$weights, x = images,
    device = check_string(device, allow_null = TRUE), model = check_string(model, allow_null = TRUE)
  )))
  colnames(probabilities) <- object$data$classes
  if (type == "prob") probabilities else most_probable(probabilities)
}

# The radius to evaluate a network with: `eval_eps` or, without it, `eps`.
claimed_eps <- function(config) config$eval_eps %||% config$eps

# "PGD-10", with its radius if that is another one than in training: "PGD-5 (eps = 0.3)".
monitored_attack <- function(config) {
  claimed <- claimed_eps(config)
  radius <- if (identical(claimed, config$eps)) "" else sprintf(" (eps = %s)", format_radius(claimed))
  sprintf("PGD-%d%s", config$steps, radius)
}

# "SENSE-AT, c = 0.7, l-infinity eps = 0.3"
describe_method <- function(config) {
  radius <- sprintf("l%s eps = %g", if (config$norm == "inf") "-infinity" else config$norm, config$eps)
  ball <- sprintf("%s, K = %d", radius, config$steps)
  switch(config$method,
    nt = "natural training (NT)",
    "r-at" = paste0("regular adversarial training (R-AT), ", ball),
    sense = sprintf("sensible adversarial training (SENSE-AT), c = %g, %s", config$c, ball),
    "sense-trades" = sprintf("SENSE-TRADES, c = %g, %s", config$c, ball),
    trades = sprintf("TRADES, beta = %g, %s", config$beta, ball),
    mart = sprintf("MART, beta = %g, %s", config$beta, ball),
    mma = sprintf(
      "max-margin adversarial training (MMA),%s K = %d",
      if (is.null(config$d_max)) "" else sprintf(" d_max = %g,", config$d_max), config$steps
    ),
    iaat = paste0("instance adaptive adversarial training (IAAT), ", ball),
    "fgsm-rs" = paste0("fast adversarial training (FGSM-RS), ", radius),
    "n-fgsm" = paste0("N-FGSM, ", radius),
    free = sprintf("free adversarial training, m = %d, %s", config$replays, radius),
    config$method
  )
}

# "256 validation images". The oldest runs measured these accuracies on test images.
monitored_words <- function(metrics) {
  on <- metrics$monitored_on %||% "test"
  sprintf("%d %s images", metrics$monitored[1], on[length(on)])
}

monitored_accuracies <- function(metrics) {
  intervals <- wilson_interval(
    c(metrics$natural_correct, metrics$robust_correct),
    rep(metrics$monitored, 2)
  )
  accuracies <- cbind(
    epoch = rep(metrics$epoch, 2),
    accuracy = rep(c("natural", "robust"), each = nrow(metrics)),
    intervals
  )
  structure(accuracies, images = monitored_words(metrics))
}

print_accuracies <- function(accuracies, config) {
  label <- c(natural = "natural", robust = monitored_attack(config))
  cat(
    sprintf("  %-9s %s\n", label[accuracies$accuracy], format_interval(accuracies)),
    sprintf("on %s. To report accuracies, use evaluate_sense().\n", attr(accuracies, "images")),
    sep = ""
  )
}

# "97.7 % [95.0, 98.9] (250 / 256)"
format_interval <- function(intervals) {
  with(intervals, sprintf(
    "%.1f %% [%.1f, %.1f] (%d / %d)",
    100 * estimate, 100 * lower, 100 * upper, as.integer(k), as.integer(n)
  ))
}

# Means over the images of the last epoch, with their descriptions.
last_means <- function(metrics) {
  what <- c(
    stage_b_gap = "gap of stage B below log(1/c)", margin = "margin", radius = "radius"
  )
  last <- utils::tail(metrics, 1)
  found <- intersect(names(what), names(last))
  values <- stats::setNames(as.list(last[found]), what[found])
  values[!vapply(values, function(value) is.null(value) || is.na(value), logical(1))]
}

# The share of training images in each stage, by epoch. No rows for methods without stages.
stage_shares <- function(metrics) {
  names <- c(A = "stage_a", B = "stage_b", C = "stage_c")
  if (!all(names %in% colnames(metrics))) {
    return(data.frame(epoch = integer(), stage = character(), share = numeric()))
  }
  staged <- metrics[!is.na(metrics$stage_a), ]
  counts <- as.matrix(staged[names])
  data.frame(
    epoch = rep(staged$epoch, 3),
    stage = rep(names(names), each = nrow(staged)),
    share = as.vector(counts / rowSums(counts))
  )
}
