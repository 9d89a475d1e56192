# A folder as `python -m sense.evaluate` writes it. `correct` says for each attack which images are
# classified correctly.
evaluation_folder <- function(correct, ..., attacks = NULL, eps = 0.3, norm = "inf", label = 1L,
                              images = seq_along(correct[[1]]) - 1L, method = "sense", seed = 1L,
                              draw = NULL, finished = TRUE, diagnostics = NULL, name = "toy",
                              sha256 = "abc", cascade = FALSE) {
  folder <- file.path(tempfile("evaluation-"), name)
  dir.create(folder, recursive = TRUE)
  correct <- lapply(correct, as.integer)
  n <- length(correct[[1]])
  rows <- lapply(names(correct), function(attack) {
    data.frame(
      image = images, label = label, attack = attack,
      prediction = ifelse(correct[[attack]] == 1, label, label + 1L), correct = correct[[attack]]
    )
  })
  utils::write.csv(
    do.call(rbind, rows), file.path(folder, "outcomes.csv"), row.names = FALSE, quote = FALSE
  )
  others <- setdiff(names(correct), "natural")
  known <- lapply(stats::setNames(others, others), function(attack) {
    list(label = toupper(attack), steps = 10L, eps = eps, norm = norm, attacked = n, seconds = 1)
  })
  known <- utils::modifyList(known, attacks %||% list())
  write_json_file(
    list(
      target = list(name = name, kind = "run", model = "capacity-1", weights_sha256 = "def"),
      data = list(name = "toy", sha256 = sha256, n = n, of = n + 5L, draw = draw),
      options = list(eps = eps, norm = norm, seed = 0L, batch = 250L, cascade = cascade),
      attacks = c(list(natural = list(label = "natural")), known),
      accuracy = lapply(correct, function(one) list(k = sum(one), n = n)),
      diagnostics = diagnostics, finished = finished,
      provenance = list(command = "python -m sense.evaluate toy", commit = NULL)
    ),
    file.path(folder, "evaluation.json")
  )
  write_json_file(
    list(
      config = list(method = method, c = 0.7, model = "capacity-1", eps = eps, seed = seed, ...),
      data = list(name = "toy", sha256 = sha256)
    ),
    file.path(folder, "config.json")
  )
  sealed(folder)
}

# Record the sums of a folder that a test has changed.
sealed <- function(folder) {
  suppressMessages(seal_run(folder))
  folder
}

write_json_file <- function(x, path) {
  writeLines(jsonlite::toJSON(x, auto_unbox = TRUE, null = "null", digits = NA), path)
}

# Diagnostics: a warning, a passed check and a skipped one.
toy_diagnostics <- function() {
  list(
    images = 8L, seconds = 1.5,
    checks = list(
      list(check = "large-eps", verdict = "warning", value = 0.25, threshold = 0, text = "At eps = 1 PGD leaves 25 % right"),
      list(check = "randomness", verdict = "ok", value = 0, threshold = 0, text = "Two passes agree"),
      list(check = "stronger-attack", verdict = "skipped", value = NULL, threshold = NULL, text = "AutoAttack was not tried")
    )
  )
}

# Add the tables of a curve and of the steps of PGD.
add_curves <- function(folder, n = 4) {
  radii <- c(0, 0.1, 0.3)
  utils::write.csv(
    data.frame(eps = radii, k = c(4, 3, 1), n = n, estimate = 0, lower = 0, upper = 0),
    file.path(folder, "curve.csv"), row.names = FALSE
  )
  course <- expand.grid(step = 0:5, image = 0:2)[2:1]
  course$loss <- with(course, (image + 1) * step / 10)
  utils::write.csv(course, file.path(folder, "convergence.csv"), row.names = FALSE)
  left <- expand.grid(step = 0:5, restart = 1:2)[2:1]
  left$k <- ifelse(left$restart == 1, 3 - left$step %/% 3, 1)
  left$n <- 3
  utils::write.csv(
    cbind(left, estimate = 0, lower = 0, upper = 0),
    file.path(folder, "convergence_accuracy.csv"), row.names = FALSE
  )
  sealed(folder)
}

`%||%` <- function(x, y) if (is.null(x)) y else x

# The data of the i-th layer of a plot.
layer_data_of <- function(plot, i) ggplot2::ggplot_build(plot)$data[[i]]
