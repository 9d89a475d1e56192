# A trained network on the features x1 and x2 as a function from points of the plane to labels -1 and
# 1, in plain R. The attribute `score` is a function to the difference of the logits.
plane_classifier <- function(fit, arg = "classifier", call = parent.frame()) {
  features <- fit$data$features
  fits <- setequal(unlist(features$names), c("x1", "x2")) &&
    setequal(fit$data$classes, c("-1", "1")) && grepl("^(mlp|linear)", fit$config$model)
  if (!fits) {
    refuse(
      fit, arg, "a network of the plane",
      cli::format_inline("Train one by {.code train_sense(y ~ x1 + x2, three_clusters())}."), call
    )
  }
  check_sums(fit, arg, call)
  tensors <- read_tensors(fit$weights)
  layers <- unique(sub("\\.(weight|bias)$", "", names(tensors)))
  hidden <- sort(setdiff(layers, "output"))
  sign <- if (fit$data$classes[2] == "1") 1 else -1
  layer <- function(x, name) {
    sweep(x %*% t(tensors[[paste0(name, ".weight")]]), 2, as.vector(tensors[[paste0(name, ".bias")]]), "+")
  }
  score <- function(x) {
    z <- sweep(x[, match(unlist(features$names), c("x1", "x2")), drop = FALSE], 2, unlist(features$center))
    z <- sweep(z, 2, unlist(features$scale), "/")
    for (name in hidden) z <- pmax(layer(z, name), 0)
    logits <- layer(z, "output")
    sign * (logits[, 2] - logits[, 1])
  }
  structure(function(x) ifelse(score(x) > 0, 1, -1), score = score)
}

# The score of any classifier: positive for label 1.
score_of <- function(classifier, x) {
  if (inherits(classifier, "linear_classifier")) return(linear_score(classifier, x))
  if (inherits(classifier, "bayes_rule")) return(bayes_log_odds(x, classifier))
  score <- attr(classifier, "score")
  if (!is.null(score)) score(x) else as_labels(classifier(x), nrow(x))
}

# A panel for each classifier: the clusters, the discs that an adversary of radius eps can reach from
# their centres, the boundary, and the measured risks.
plot_classifiers <- function(fits, law, eps, n, draws, seed, call = parent.frame()) {
  if (inherits(fits, "sense_fit") || !is.list(fits)) fits <- list(fits)
  if (is.data.frame(fits) || !length(fits) || !all_named(fits)) {
    refuse(fits, "fits", "a list of classifiers with a name for each", call = call)
  }
  fits <- lapply(fits, function(fit) {
    if (inherits(fit, "sense_fit")) plane_classifier(fit, "fits", call) else check_classifier(fit, call)
  })
  points <- with_seed(seed, draw_clusters(min(n, 600), law))
  centres <- cluster_centres(law$m)
  discs <- do.call(rbind, lapply(rownames(centres), function(k) circle_path(centres[k, ], eps, k)))
  reach <- c(max(abs(discs$x1), 3), max(abs(discs$x2))) + 0.5
  grid <- expand.grid(
    x1 = seq(-reach[1], reach[1], length.out = 161), x2 = seq(-reach[2], reach[2], length.out = 241)
  )
  panels <- vapply(names(fits), function(name) {
    paste0(name, "\n", risk_words(fits[[name]], law, eps, draws, seed))
  }, "")
  in_panel <- function(data, i) cbind(data, panel = factor(unname(panels[i]), panels))
  scores <- do.call(rbind, lapply(seq_along(fits), function(i) {
    in_panel(cbind(grid, score = as.vector(score_of(fits[[i]], as.matrix(grid)))), i)
  }))
  signs <- data.frame(centres, sign = c("+", "+", "-"))
  ggplot2::ggplot(scores, ggplot2::aes(.data$x1, .data$x2)) +
    ggplot2::geom_point(data = points, shape = 16, size = 0.4, colour = "grey70") +
    ggplot2::geom_path(data = discs, ggplot2::aes(group = .data$id), colour = "grey50", linetype = "dashed", linewidth = 0.4) +
    ggplot2::geom_text(data = signs, ggplot2::aes(label = .data$sign), colour = "grey20", size = 4) +
    ggplot2::geom_contour(ggplot2::aes(z = .data$score), breaks = 0, colour = "black", linewidth = 0.7) +
    ggplot2::facet_wrap(~panel, nrow = 1) +
    ggplot2::coord_cartesian(xlim = c(-1, 1) * reach[1], ylim = c(-1, 1) * reach[2], expand = FALSE) +
    ggplot2::labs(x = expression(x[1]), y = expression(x[2])) +
    sense_theme() +
    ggplot2::theme(strip.text = ggplot2::element_text(size = 8)) +
    wrapped_caption(sprintf(paste(
      "Lines: the boundaries. Dashed: what an l2 adversary with eps = %.3g can reach from the centre of each",
      "cluster. Grey: %d points. Above: standard and robust risk, in closed form for linear",
      "classifiers, otherwise with 95%% Wilson intervals of %d draws; the robust risk of a network is a",
      "lower bound, found by a search of the ball."
    ), eps, nrow(points), draws), width = min(110, 35 * length(fits) + 20))
}

risk_words <- function(classifier, law, eps, draws, seed) {
  if (inherits(classifier, "linear_classifier")) {
    value <- c(linear_risk_value(classifier, law, 0, 2), linear_risk_value(classifier, law, eps, 2))
    return(sprintf("risk %s,\nrobust risk %s\n", signif(value[1], 2), signif(value[2], 2)))
  }
  risk <- simulate_risk(
    classifier, law$p, law$m, law$sigma, eps, kind = c("standard", "robust"), n = draws, seed = seed
  )
  shown <- sprintf("%s [%s, %s]", signif(risk$estimate, 2), signif(risk$lower, 2), signif(risk$upper, 2))
  sprintf("risk %s,\nrobust %s\n%s", shown[1], if (risk$bound[2] == "exact") "risk" else "risk at least", shown[2])
}
